"""Batch jobs on the cluster: 20,000 images on two nodes, while pods are deleted and nodes are drained."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from pyarrow import parquet

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


def until_written(cluster: Cluster) -> None:
    """Wait until another prediction is stored."""
    before = 0

    def written() -> bool:
        # Nothing can be counted while Cassandra is unavailable.
        nonlocal before
        before = before or stored(cluster)
        return 0 < before < stored(cluster)

    until(written, 300)


def until_replaced(cluster: Cluster, component: str, gone: set[str], count: int) -> None:
    """Wait until this number of pods is ready, without those whose uids are `gone`."""

    def replaced() -> bool:
        uids = {pod.metadata.uid for pod in cluster.ready(component)}
        return len(uids) == count and not uids & gone

    until(replaced, 240)


def drain(cluster: Cluster, node: str) -> None:
    with cluster.cordoned(node):
        for component in ("batch-driver", "batch-executor", "service", "models", "cassandra"):
            for pod in cluster.pods(component):
                if pod.spec.node_name == node:
                    cluster.evict(pod)


def test_every_image_has_one_prediction_while_pods_and_cassandra_restart(cluster: Cluster, command: Command) -> None:
    # Slow enough for all that happens to it.
    with command.classify("spring-2026", "--executors", "2", "--writes-per-second", "150") as process:
        until(lambda: stored(cluster), 240)
        executors = cluster.pods("batch-executor")
        assert len({pod.spec.node_name for pod in executors}) == 2
        cluster.delete_pod(executors[0].metadata.name)
        until_replaced(cluster, "batch-executor", {executors[0].metadata.uid}, 2)
        (driver,) = cluster.ready("batch-driver")
        cluster.delete_pod(driver.metadata.name)
        until_replaced(cluster, "batch-driver", {driver.metadata.uid}, 1)
        until_written(cluster)
        cluster.delete_pod(f"{RELEASE}-cassandra-0")
        cluster.until_ready("cassandra", 1)
        until_written(cluster)
        assert process.poll() is None, "the job had ended before Cassandra was restarted"
        assert process.wait(600) == 0, command.log()
    assert stored(cluster) == IMAGES
    assert "classified by an earlier run: " in command.log()
    assert "spring-2026" in command.run("list", "--on-cluster")
    until(lambda: not cluster.pods("batch-executor"), 120)


def test_every_image_has_one_prediction_while_nodes_are_drained(cluster: Cluster, command: Command) -> None:
    before = stored(cluster)
    with command.classify("summer-2026", "--executors", "2", "--writes-per-second", "150") as process:
        until(lambda: stored(cluster) > before, 240)
        (driver,) = cluster.ready("batch-driver")
        moved = next(pod for pod in cluster.pods("batch-executor") if pod.spec.node_name != driver.spec.node_name)
        drain(cluster, moved.spec.node_name)
        until_replaced(cluster, "batch-executor", {moved.metadata.uid}, 2)
        until_written(cluster)
        assert [pod.metadata.uid for pod in cluster.ready("batch-driver")] == [driver.metadata.uid]
        drain(cluster, driver.spec.node_name)
        until_replaced(cluster, "batch-driver", {driver.metadata.uid}, 1)
        until_written(cluster)
        assert process.poll() is None, "the job had ended before the nodes were drained"
        assert process.wait(600) == 0, command.log()
    assert stored(cluster) == before + IMAGES
    assert "classified by an earlier run: " in command.log()


def test_predictions_go_to_parquet_files_in_the_claim(cluster: Cluster, command: Command, tmp_path: Path) -> None:
    # The folder of the claim is not shared: all pods have to be on one node.
    busy = {pod.spec.node_name for pod in cluster.pods("cassandra")}
    node = next(name for name in cluster.workers() if name not in busy)
    docker("exec", node, "mkdir", "--mode=777", "/photos/predictions")
    with ExitStack() as cordons:
        for other in cluster.workers():
            if other != node:
                cordons.enter_context(cluster.cordoned(other))
        arguments = ("--parquet", "predictions", "--on-cluster", "--volume", CLAIM, "--executors", "1")
        output = command.run("classify", "7", *arguments)
    assert f"classified: {IMAGES // 100}, rejected: 0" in output
    docker("cp", f"{node}:/photos/predictions", str(tmp_path))
    assert parquet.read_table(tmp_path / "predictions").num_rows == IMAGES // 100


def test_executors_that_fit_no_node_are_reported(cluster: Cluster, command: Command) -> None:
    with command.classify("winter-2026", "--conf", "spark.executor.cores=64") as process:
        until(lambda: "Insufficient cpu; add nodes, or ask for less" in command.log(), 120)
        assert command.run("stop", "winter-2026") == "stopped job winter-2026\n"
        assert process.wait(120) == 1
    until(lambda: not cluster.ready("batch-driver") + cluster.pods("batch-executor"), 120)


def test_a_job_is_stopped(cluster: Cluster, command: Command) -> None:
    before = stored(cluster)
    with command.classify("fall-2026", "--writes-per-second", "50") as process:
        until(lambda: stored(cluster) > before, 240)
        assert command.run("stop", "fall-2026") == "stopped job fall-2026\n"
        assert process.wait(120) == 1
    assert "job fall-2026 was stopped" in command.log()
    # Kubernetes deletes the executors some time after the driver.
    until(lambda: not cluster.ready("batch-driver") + cluster.pods("batch-executor"), 120)
