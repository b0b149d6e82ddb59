"""Batch jobs on the cluster: 20,000 images on two nodes, while pods are deleted."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cluster import RELEASE, Cluster
from tests.support.commands import LOOKBOOK, SOURCES
from tests.support.places import GOLDEN
from tests.support.running import docker, until

IMAGES = 20_000
CLAIM = "photos"


@pytest.fixture(scope="module")
def images(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A claim with the images, which are in a folder of each worker."""
    folder = tmp_path_factory.mktemp("images")
    folder.chmod(0o755)  # the pods have another user
    sources = [path.read_bytes() for path in GOLDEN]
    for number in range(IMAGES):
        path = folder / f"{number % 100}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(sources[number % len(sources)])
    for node in cluster.workers():
        docker("exec", node, "rm", "-rf", "/photos")
        docker("cp", str(folder), f"{node}:/photos")
    with cluster.shared_folder(CLAIM, "/photos"):
        yield
    for node in cluster.workers():
        docker("exec", node, "rm", "-rf", "/photos")


@pytest.fixture(scope="module", autouse=True)
def release(cluster: Cluster, upgrade: Callable[..., str], images: None) -> None:  # noqa: ARG001
    upgrade(batch__enabled=True, autoscaling__maxReplicas=2)


class Command:
    """`lookbook batch`, as a process that writes to a file."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster, self._log = cluster, folder / "log.txt"

    def run(self, *arguments: str) -> str:
        return subprocess.run(self._command(*arguments), env=self._env(), capture_output=True, text=True).stdout

    @contextmanager
    def classify(self, name: str, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
        arguments = ("classify", ".", "--job", name, "--on-cluster", "--volume", CLAIM, *options)
        with self._log.open("w") as log:
            process = subprocess.Popen(self._command(*arguments), env=self._env(), stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def log(self) -> str:
        return self._log.read_text()

    def _command(self, *arguments: str) -> list[str]:
        return [*LOOKBOOK, "batch", *arguments, "--release", RELEASE, "--namespace", self._cluster.namespace]

    def _env(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": SOURCES}


@pytest.fixture
def command(cluster: Cluster, tmp_path: Path) -> Command:
    return Command(cluster, tmp_path)


def stored(cluster: Cluster) -> int:
    """Number of predictions in Cassandra; 0 while it cannot be read."""
    login = [f"--{name}={cluster.secret(f'{RELEASE}-cassandra-admin', name)}" for name in ("username", "password")]
    query = "SELECT count(*) FROM lookbook.predictions"
    output = cluster.kubectl("exec", f"{RELEASE}-cassandra-0", "--", "cqlsh", *login, "-e", query, ok=False)
    (count,) = re.findall(r"^ +(\d+)$", output, re.MULTILINE) or [0]
    return int(count)


def test_every_image_has_one_prediction_while_pods_and_cassandra_restart(cluster: Cluster, command: Command) -> None:
    # Slow enough for all that happens to it.
    with command.classify("spring-2026", "--executors", "2", "--writes-per-second", "150") as process:
        until(lambda: stored(cluster), 240)
        executors = cluster.pods("batch-executor")
        assert len({pod.spec.node_name for pod in executors}) == 2
        cluster.delete_pod(executors[0].metadata.name)
        until(lambda: stored(cluster) > IMAGES / 5, 120)
        (driver,) = cluster.pods("batch-driver")
        cluster.delete_pod(driver.metadata.name)
        until(lambda: {pod.metadata.uid for pod in cluster.ready("batch-driver")} - {driver.metadata.uid}, 120)
        cluster.delete_pod(f"{RELEASE}-cassandra-0")
        cluster.until_ready("cassandra", 1)
        assert process.poll() is None
        until(lambda: stored(cluster))
        assert stored(cluster) < IMAGES, "the job had ended before Cassandra was restarted"
        assert process.wait(600) == 0, command.log()
    assert stored(cluster) == IMAGES
    assert "classified by an earlier run: " in command.log()
    assert "spring-2026" in command.run("list", "--on-cluster")
    until(lambda: not cluster.pods("batch-executor"), 120)


def test_a_job_is_stopped(cluster: Cluster, command: Command) -> None:
    before = stored(cluster)
    with command.classify("fall-2026", "--writes-per-second", "50") as process:
        until(lambda: stored(cluster) > before, 240)
        assert command.run("stop", "fall-2026") == "stopped job fall-2026\n"
        assert process.wait(120) == 1
    assert "job fall-2026 was stopped" in command.log()
    # Kubernetes deletes the executors some time after the driver.
    until(lambda: not cluster.pods("batch-driver") + cluster.pods("batch-executor"), 120)
