"""Operating a running release: scaling it, and rolling out models."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from lookbook import __version__
from lookbook.model.bundle import read_bundle

from tests.support.cluster import CPU_REQUEST, RELEASE, TARGET_CPU, URL, Cluster, run, served
from tests.support.cluster_load import load, nothing_failed
from tests.support.places import CLOTHES
from tests.support.running import until

SHIPPED = read_bundle(CLOTHES)


def lookbook(cluster: Cluster, *arguments: object, ok: bool = True) -> str:
    return run(sys.executable, "-m", "lookbook", "model", *arguments, "--namespace", cluster.namespace, ok=ok)


def replicas(cluster: Cluster) -> int:
    return int(cluster.apps.read_namespaced_deployment(RELEASE, cluster.namespace).spec.replicas)


def version_served() -> str:
    return str(requests.get(f"{URL}/v1/model", timeout=10).json()["version"])


@pytest.fixture
def two_pods(cluster: Cluster, upgrade: Callable[..., str]) -> None:
    """Two pods with the shipped model, without autoscaling, no matter what an earlier test left behind."""
    upgrade("--force-conflicts", autoscaling__enabled=False, replicas=2)
    cluster.until_whole(service=2, models=1, cassandra=1)
    served()


@pytest.fixture
def autoscaled(cluster: Cluster, upgrade: Callable[..., str]) -> None:
    """The autoscaler's smallest number of pods, no matter what an earlier test left behind."""
    upgrade("--force-conflicts")
    cluster.until_whole(service=2, models=1, cassandra=1)
    served()


@pytest.fixture
def rate(cluster: Cluster) -> Callable[[float], float]:
    """Requests per second that use a share of the autoscaler's target on two pods, measured now on this machine."""
    before = cluster.cpu_seconds("service")
    with load(at_least=15) as running:
        pass
    cost = (cluster.cpu_seconds("service") - before) / running.codes.total()
    return lambda share: share * 2 * CPU_REQUEST * TARGET_CPU / 100 / cost


@pytest.fixture
def version(tmp_path: Path) -> Callable[..., tuple[Path, str]]:
    """Makes a bundle like the shipped one with another version; returns its folder and its digest."""

    def make(number: str) -> tuple[Path, str]:
        folder = tmp_path / number
        shutil.copytree(CLOTHES, folder)
        manifest = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps({**manifest, "version": number}))
        return folder, read_bundle(folder).digest

    return make


def test_autoscaling_switched_on_over_a_live_release(cluster: Cluster, upgrade: Callable[..., str]) -> None:
    """Helm gives up spec.replicas, Kubernetes resets it to 1, and the autoscaler raises it again."""
    upgrade("--force-conflicts", autoscaling__enabled=False, replicas=3)
    cluster.until_whole(service=3, models=1, cassandra=1)
    served()
    with load() as running:
        upgrade()
        cluster.until_ready("service", 2)
    nothing_failed(running)
    # If autoscaling is turned off, Helm owns the number of pods again.
    upgrade(autoscaling__enabled=False, replicas=3)
    assert replicas(cluster) == 3


@pytest.mark.usefixtures("two_pods")
def test_autoscaling_switched_on_without_losing_a_pod(cluster: Cluster, upgrade: Callable[..., str]) -> None:
    """A number of pods that kubectl has set stays, as the chart's README says."""
    cluster.scale(f"deployment/{RELEASE}", 4)
    upgrade(wait=False)
    assert replicas(cluster) == 4
    until(lambda: replicas(cluster) == 2, 240)


@pytest.mark.usefixtures("autoscaled")
def test_pods_come_with_load_and_go_with_it(
    cluster: Cluster, upgrade: Callable[..., str], next_chart: Path, rate: Callable[[float], float]
) -> None:
    """An upgrade to the next chart does not change the number of pods."""
    with load(rate=rate(2.0)):
        until(lambda: len(cluster.ready("service")) > 2, 240)
        # Only the chart of the next release exists, so the container images stay the same.
        upgrade(wait=False, chart=next_chart, images__service__tag=__version__, images__modelInit__tag=__version__)
        assert replicas(cluster) > 2
    with load(rate=rate(0.5)) as falling:
        until(lambda: replicas(cluster) == 2, 300)
        cluster.until_ready("service", 2)
    nothing_failed(falling)


@pytest.mark.usefixtures("autoscaled")
def test_no_pods_come_while_cassandra_is_unavailable(cluster: Cluster) -> None:
    cluster.scale(f"statefulset/{RELEASE}-cassandra", 0)
    try:
        until(lambda: not cluster.pods("cassandra"))
        with load(rate=50) as running:
            until(lambda: running.seconds > 60, 90)
            assert replicas(cluster) == 2
            assert running.codes[503] > 1000
            cluster.scale(f"statefulset/{RELEASE}-cassandra", 1)
            cluster.until_ready("cassandra", 1)
            served(10)
    finally:
        cluster.scale(f"statefulset/{RELEASE}-cassandra", 1)
    assert set(running.codes) == {503, 201}, running.failures[:5]


@pytest.mark.usefixtures("two_pods")
def test_a_new_version_under_load_and_back(
    cluster: Cluster, upgrade: Callable[..., str], version: Callable[..., tuple[Path, str]]
) -> None:
    folder, digest = version("9.0.0")
    assert digest in lookbook(cluster, "publish", folder)
    assert "9.0.0" in lookbook(cluster, "list")
    with load() as running:
        upgrade(model__version="9.0.0", model__digest=digest)
        cluster.until_rolled_out()
        until(lambda: "9.0.0" in running.stored.values(), 60)
        # A pod that is being deleted still serves for some seconds, while nodes still send it connections.
        until(lambda: version_served() == "9.0.0")
        cluster.helm("rollback", RELEASE, "--wait")
        cluster.until_rolled_out()
    nothing_failed(running)
    assert set(running.stored.values()) == {SHIPPED.version, "9.0.0"}
    until(lambda: version_served() == SHIPPED.version)


@pytest.mark.usefixtures("two_pods")
def test_a_published_version_never_changes(cluster: Cluster, version: Callable[..., tuple[Path, str]]) -> None:
    assert "already published" in lookbook(cluster, "publish", CLOTHES)
    folder, _ = version(SHIPPED.version)
    (folder / "model.json").write_text((folder / "model.json").read_text() + " ")
    assert "never changes" in lookbook(cluster, "publish", folder, ok=False)
    assert SHIPPED.digest[:12] in lookbook(cluster, "list")


def stuck(cluster: Cluster, reason: str) -> bool:
    """Whether `kubectl describe` shows this reason why a pod's init container failed."""
    described = cluster.kubectl("describe", "pods", "--selector", "app.kubernetes.io/component=service")
    return any(reason in line for line in described.splitlines() if "Message:" in line)


FLIP = "p = '{0}/model.tflite'; b = bytearray(open(p, 'rb').read()); b[99] ^= 1; open(p, 'wb').write(b)"
SWAP = "open('{0}/model.json', 'a').write(' ')"


@pytest.mark.usefixtures("two_pods")
def test_a_bad_version_stops_the_rollout(
    cluster: Cluster, upgrade: Callable[..., str], version: Callable[..., tuple[Path, str]]
) -> None:
    """A version that does not exist, one with a flipped byte, and one whose digest is not the pinned one."""
    before = {pod.metadata.name for pod in cluster.ready("service")}

    def try_and_go_back(number: str, digest: str, reason: str) -> None:
        try:
            upgrade(wait=False, model__version=number, model__digest=digest)
            until(lambda: stuck(cluster, reason), 120)
            assert before <= {pod.metadata.name for pod in cluster.ready("service")}
        finally:
            cluster.helm("rollback", RELEASE, "--wait")
            cluster.until_rolled_out()

    with load() as running:
        try_and_go_back("9.1.0", version("9.1.0")[1], "no lookbook-clothes 9.1.0")
        for number, damage, reason in (
            ("9.1.1", FLIP, "model.tflite: its SHA-256 differs from the manifest's"),
            ("9.1.2", SWAP, "not the pinned"),
        ):
            folder, digest = version(number)
            lookbook(cluster, "publish", folder)
            code = damage.format(f"/volume/lookbook-clothes/{number}")
            cluster.kubectl("exec", f"deployment/{RELEASE}-models", "--container=models", "--", "python", "-c", code)
            try_and_go_back(number, digest, reason)
    nothing_failed(running)
    assert set(running.stored.values()) == {SHIPPED.version}


@pytest.mark.usefixtures("two_pods")
def test_pods_keep_serving_while_the_models_are_unavailable(cluster: Cluster) -> None:
    with load() as running:
        cluster.scale(f"deployment/{RELEASE}-models", 0)
        until(lambda: not cluster.pods("models"))
        cluster.delete_pod(cluster.ready("service")[0].metadata.name)
        until(lambda: len(cluster.pods("service")) == 2 and len(cluster.ready("service")) == 1)
        until(lambda: running.seconds > 30)
        assert len(cluster.ready("service")) == 1
        cluster.scale(f"deployment/{RELEASE}-models", 1)
        cluster.until_ready("service", 2, 120)
    nothing_failed(running)


@pytest.mark.usefixtures("two_pods")
def test_a_shared_claim(cluster: Cluster, upgrade: Callable[..., str]) -> None:
    with cluster.shared_models("shared"):
        with load() as running:
            upgrade(model__existingClaim="shared")
            cluster.until_rolled_out()
        nothing_failed(running)
        assert len({pod.spec.node_name for pod in cluster.ready("service")}) > 1
        assert not cluster.pods("models")
        assert "existingClaim" in lookbook(cluster, "publish", CLOTHES, ok=False)
        upgrade()
