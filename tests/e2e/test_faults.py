"""Three Cassandra nodes under load, while nodes and pods fail or restart."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import requests

from tests.support.chart import default_image
from tests.support.cluster import RELEASE, SMALL, URL, Cluster, served
from tests.support.cluster_calls import classify
from tests.support.cluster_load import load, nothing_failed
from tests.support.places import CHART, PHOTOS
from tests.support.running import until

NODES = 3
RING = f"statefulset/{RELEASE}-cassandra"


@pytest.fixture(autouse=True)
def release(cluster: Cluster, upgrade: Callable[..., str]) -> None:
    """The release, complete no matter what an earlier test left behind."""
    counts = {"service": 2, "models": 1, "cassandra": NODES}
    if not cluster.is_whole(**counts):
        upgrade("--values", CHART / "ci/ha-values.yaml", "--force-conflicts", **SMALL)
        cluster.until_whole(**counts)
    served()


def restarts(cluster: Cluster) -> dict[str, int]:
    return {pod.metadata.name: pod.status.container_statuses[0].restart_count for pod in cluster.ready("service")}


def test_three_nodes_hold_three_copies(cluster: Cluster) -> None:
    assert len({pod.spec.node_name for pod in cluster.pods("cassandra")}) == NODES
    until(lambda: "is up to date" in cluster.schema_log(), 60)
    login = [f"--{name}={cluster.secret(f'{RELEASE}-cassandra-admin', name)}" for name in ("username", "password")]
    query = "SELECT JSON keyspace_name, replication FROM system_schema.keyspaces"
    output = cluster.kubectl("exec", f"{RELEASE}-cassandra-0", "--", "cqlsh", *login, "-e", query)
    for keyspace in ("lookbook", "system_auth"):
        (row,) = [line for line in output.splitlines() if f'"{keyspace}"' in line]
        assert '"datacenter1": "3"' in row


def test_a_rolling_update(cluster: Cluster) -> None:
    with load() as running:
        cluster.kubectl("rollout", "restart", f"deployment/{RELEASE}")
        cluster.until_rolled_out()
    nothing_failed(running)


@pytest.mark.parametrize("component", ["service", "models", "cassandra"])
def test_a_pod_deleted(cluster: Cluster, component: str) -> None:
    count = len(cluster.ready(component))
    with load() as running:
        name = cluster.ready(component)[0].metadata.name
        uid = cluster.ready(component)[0].metadata.uid
        cluster.delete_pod(name)
        until(lambda: uid not in {pod.metadata.uid for pod in cluster.pods(component)})
        cluster.until_ready(component, count)
    nothing_failed(running)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_each_node_drained(cluster: Cluster, busy: bool) -> None:
    """Volumes stay on their node: the Cassandra and models pods wait until it is back."""
    with cluster.busy(default_image("service")) if busy else nullcontext(), load() as running:
        for node in cluster.workers():
            with cluster.cordoned(node):
                for component in ("service", "models", "cassandra"):
                    for pod in [pod for pod in cluster.pods(component) if pod.spec.node_name == node]:
                        cluster.evict(pod)
            for component, count in (("service", 2), ("models", 1), ("cassandra", NODES)):
                cluster.until_ready(component, count)
    nothing_failed(running)


def test_a_pod_that_alone_is_cut_off_from_cassandra(cluster: Cluster) -> None:
    """The pod leaves the Service until it reaches Cassandra again."""
    pod = cluster.ready("service")[0]
    with load() as running:
        with cluster.cut_off(pod, 9042):
            until(lambda: len(cluster.ready("service")) == 1, 60)
            left = running.seconds
            until(lambda: running.seconds > left + 20)
        cluster.until_ready("service", 2)
    late = [failure for failure in running.failures if failure[0] > left + 5]
    assert not late, late[:10]


def test_one_node_of_three_down(cluster: Cluster) -> None:
    with load() as running:
        cluster.scale(RING, 2)
        until(lambda: len(cluster.pods("cassandra")) == 2)
        until(lambda: running.seconds > 60, 90)
        cluster.scale(RING, 3)
        cluster.until_ready("cassandra", NODES)
    nothing_failed(running)


def test_a_lost_volume(cluster: Cluster) -> None:
    """The volume of the first node, which is the seed of the others."""
    with load() as running:
        lost = next(pod for pod in cluster.pods("cassandra") if pod.metadata.name.endswith("-0"))
        with cluster.cordoned(lost.spec.node_name):
            cluster.delete_pod(lost.metadata.name)
            cluster.follow("lost-volume")
        cluster.follow("lost-volume-joined")
        cluster.until_ready("cassandra", NODES)
    # Three nodes share a few cores: some requests time out, but no acknowledged prediction is lost.
    assert running.codes[201] > 0.9 * sum(running.codes.values()), running.codes
    assert set(running.codes) <= {201, 503}, running.failures[:10]


def check_outage(cluster: Cluster, begin: Callable[[], object], end: Callable[[], object]) -> None:
    """Without a quorum, requests get 503 and nothing is falsely acknowledged; service resumes in ten seconds."""
    before = restarts(cluster)
    with load() as running:
        begin()
        until(lambda: running.codes[503] > 50, 120)
        end()
        until(lambda: len(cluster.ready("cassandra")) >= 2, 240)
        back, stored = running.seconds, len(running.stored)
        until(lambda: len(running.stored) > stored, 10)
        cluster.until_ready("cassandra", NODES)
    assert set(running.codes) == {201, 503}, (running.codes, running.failures[:10])
    late = [failure for failure in running.failures if failure[0] > back + 10]
    assert not late, late[:10]
    assert restarts(cluster) == before


def test_two_nodes_of_three_down(cluster: Cluster) -> None:
    check_outage(cluster, lambda: cluster.scale(RING, 1), lambda: cluster.scale(RING, NODES))


def test_all_nodes_deleted_at_once(cluster: Cluster) -> None:
    def delete() -> None:
        for pod in cluster.pods("cassandra"):
            cluster.delete_pod(pod.metadata.name, grace_period_seconds=0)

    check_outage(cluster, delete, lambda: None)


def quality(cluster: Cluster) -> list[dict[str, Any]]:
    """What each pod of the service says about the model."""
    found = []
    for pod in cluster.ready("service"):
        with cluster.forwarded(f"pod/{pod.metadata.name}", 8080) as url:
            response = requests.get(f"{url}/v1/evaluations", timeout=30)
            assert response.status_code == 200, response.text
            found.append(response.json())
    return found


def test_judgments_survive_and_every_pod_shows_the_same_quality(cluster: Cluster) -> None:
    for photo in sorted(PHOTOS.glob("*.jpg")):
        classify(photo)
    for item in requests.get(f"{URL}/v1/reviews", {"limit": 10}, timeout=30).json()["items"]:
        body = {"label": item["label"], "annotator": "ana"}
        requests.post(f"{URL}/v1/predictions/{item['id']}/ground-truths", json=body, timeout=10).raise_for_status()
    before = quality(cluster)
    assert len(before) == 2
    assert before[0] == before[1]
    assert before[0]["accuracy"]["n"] == 10
    for pod in cluster.pods("cassandra"):
        cluster.delete_pod(pod.metadata.name, grace_period_seconds=0)
    cluster.kubectl("rollout", "restart", f"deployment/{RELEASE}")
    cluster.until_whole(service=2, models=1, cassandra=NODES)
    served()
    assert quality(cluster) == before
