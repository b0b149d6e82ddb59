"""From one Cassandra node to three."""

from collections.abc import Callable

import pytest

from tests.support.cluster import RELEASE, SMALL, Cluster, served
from tests.support.cluster_calls import classify, ids
from tests.support.running import until


@pytest.mark.usefixtures("defaults")
def test_more_nodes_are_refused_without_a_repair(cluster: Cluster, upgrade: Callable[..., str]) -> None:
    assert classify() == "Shirt"
    kept = ids()
    more = {"cassandra.nodes": 3, **SMALL}
    upgrade(wait=False, **more)
    until(lambda: "keyspace lookbook keeps 1 copy in datacenter1" in cluster.schema_log(), 120)
    cluster.until_rolled_out(f"statefulset/{RELEASE}-cassandra", 400)
    served()
    assert ids() == kept
    cluster.follow("more-nodes")
    upgrade(**more)
    until(lambda: "is up to date" in cluster.schema_log(), 120)
    assert ids() == kept
    cluster.delete_pod(f"{RELEASE}-cassandra-1")
    assert ids() == kept
    assert classify() == "Shirt"
