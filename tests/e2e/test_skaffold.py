"""`skaffold dev`: changed code is copied into the running pod, which then serves it."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import config

from tests.support.cluster import RELEASE, Cluster
from tests.support.places import ROOT
from tests.support.running import error_code, until

# skaffold.yaml and the files that it uses.
FILES = ("skaffold.yaml", ".dockerignore", "Dockerfile", "requirements.txt")
FOLDERS = ("charts", "model-init", "models", "service")

pytestmark = pytest.mark.skipif(not shutil.which("skaffold"), reason="no skaffold on the PATH")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout, to be edited."""
    if not config.list_kube_config_contexts()[1]["name"].startswith("kind-"):
        pytest.skip("skaffold.yaml does not push images: use a kind cluster")
    folder = tmp_path / "checkout"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name)
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def url(cluster: Cluster, checkout: Path) -> Iterator[str]:
    """The URL of a release that `skaffold dev` runs."""
    # Outside of the checkout: Skaffold waits until nothing in the checkout has changed for a while.
    log = checkout.parent / "skaffold.log"
    # Helm finds Skaffold's post-renderer in the default folder of plugins.
    environment = {name: value for name, value in os.environ.items() if name != "HELM_PLUGINS"}
    command = ["skaffold", "dev", "--profile=dev", f"--namespace={cluster.namespace}", "--update-check=false"]
    with log.open("w") as out, subprocess.Popen(command, cwd=checkout, env=environment, stdout=out, stderr=out) as dev:
        try:
            until(lambda: dev.poll() is not None or "Watching for changes" in log.read_text(), 400)
            forwarded = re.search(rf"service/{RELEASE} in .* -> (http://127.0.0.1:\d+)", log.read_text())
            assert forwarded, log.read_text()
            yield forwarded[1]
        finally:
            dev.send_signal(signal.SIGINT)
            dev.wait(120)


def test_an_edit_is_served_by_the_running_pod(cluster: Cluster, checkout: Path, url: str) -> None:
    refused = f"{url}/v1/predictions?limit=0"
    until(lambda: error_code(refused) == "invalid_request")
    before = cluster.ready("service")
    module = checkout / "service/lookbook/errors.py"
    module.write_text(module.read_text().replace('"invalid_request"', '"edited"'))
    until(lambda: error_code(refused) == "edited", 60)
    assert [pod.metadata.name for pod in cluster.pods("service")] == [pod.metadata.name for pod in before]
    assert len(before) == 1
