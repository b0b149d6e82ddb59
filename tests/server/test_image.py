"""The service's container image as the README starts it, without a cluster."""

import json
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator

import lookbook
import pytest
import requests

from tests.support.places import PHOTOS, ROOT
from tests.support.requirements import lacking
from tests.support.running import docker, until

IMAGE = f"lookbook:{lookbook.__version__}"
USER = 10001


@pytest.fixture(scope="module", autouse=True)
def image() -> None:
    try:
        docker("image", "inspect", IMAGE)
    except (OSError, subprocess.SubprocessError):
        lacking(f"no container image {IMAGE}: run `make images`", "IMAGES")


@pytest.fixture
def volume() -> Iterator[str]:
    name = f"lookbook-test-{uuid.uuid4().hex}"
    yield name
    docker("volume", "rm", "--force", name)


@pytest.fixture
def start(volume: str) -> Iterator[Callable[..., str]]:
    """Starts a container as the README says, with further options; returns its address once it is ready."""
    (command,) = re.findall(r"^docker (run .*)", (ROOT / "README.md").read_text(), re.MULTILINE)
    words = command.replace("127.0.0.1:8080:", "127.0.0.1::").replace("lookbook:/data", f"{volume}:/data").split()
    started: list[str] = []

    def act(*options: str) -> str:
        if started:
            docker("rm", "--force", started.pop())
        started.append(docker("run", "--detach", *options, *words[1:]).strip())
        url = f"http://{docker('port', started[-1], '8080').split()[0]}"
        until(lambda: is_ready(url))
        return url

    yield act
    for container in started:
        docker("rm", "--force", "--volumes", container)


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).ok
    except requests.RequestException:
        return False


def classify(url: str) -> str:
    with (PHOTOS / "shirt.jpg").open("rb") as photo:
        response = requests.post(f"{url}/api/tasks/upload", files={"image": photo}, timeout=10)
    assert response.status_code == 200, response.text
    return response.text


def test_predictions_outlive_the_container(start: Callable[..., str]) -> None:
    assert classify(start()) == "Shirt"
    names = [task["image_name"] for task in requests.get(f"{start()}/api/tasks", timeout=10).json()]
    assert names == ["shirt.jpg"]


def test_a_read_only_root_and_no_privileges_are_enough(start: Callable[..., str]) -> None:
    url = start("--read-only", "--tmpfs", "/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    assert classify(url) == "Shirt"


def test_it_runs_as_a_user_who_owns_nothing_but_the_data() -> None:
    command = "import os; print(os.getuid(), os.stat('/data').st_uid, os.access('/app', os.W_OK))"
    printed = docker("run", "--rm", "--entrypoint=python", IMAGE, "-c", command)
    assert printed.split() == [str(USER), str(USER), "False"]


def test_its_labels_say_what_it_is() -> None:
    labels = json.loads(docker("image", "inspect", "--format={{json .Config.Labels}}", IMAGE))
    assert labels["org.opencontainers.image.version"] == lookbook.__version__
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
