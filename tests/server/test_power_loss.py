"""All Cassandra nodes lose power at once: everything that was acknowledged is still there. `make power-loss` runs it.

The control keeps Cassandra's own default, which writes the commit log to the disk every ten seconds.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lookbook.settings import Settings
from lookbook.store.cassandra.schema import set_up_cassandra

from tests.support.chart import cassandra_settings
from tests.support.load import writers
from tests.support.places import BAG
from tests.support.power import NETWORK, SUBNET, Node, check_requirements
from tests.support.running import Service, docker, until

RING = Settings(
    store="cassandra",
    cassandra_replication=3,
    cassandra_contact_points=f"{SUBNET}.11,{SUBNET}.12,{SUBNET}.13",
    cassandra_username="cassandra",
    cassandra_password="cassandra",
)
DEFAULT = r"sed -i 's/^commitlog_sync:.*/commitlog_sync: periodic\ncommitlog_sync_period: 10s/' /conf/cassandra.yaml"


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Callable[[str], list[Node]]]:
    """Starts three nodes configured by a script, and creates the tables."""
    check_requirements()
    docker("network", "create", f"--subnet={SUBNET}.0/24", NETWORK)
    nodes: list[Node] = []

    def start(configure: str) -> list[Node]:
        nodes.extend(Node(number, tmp_path, configure) for number in (11, 12, 13))
        for node in nodes:
            node.start()
        for node in nodes:
            node.until_up()
        set_up_cassandra(RING)
        return nodes

    yield start
    for node in nodes:
        node.remove()
    docker("network", "rm", NETWORK)


def lost(serve: Callable[..., Service], nodes: list[Node]) -> set[str]:
    """The acknowledged predictions that are not there after the power is back."""
    service = serve(
        store="cassandra",
        cassandra_contact_points=RING.cassandra_contact_points,
        cassandra_username=RING.cassandra_username,
        cassandra_password=RING.cassandra_password,
    ).ready()
    with writers(service) as acknowledged:
        until(lambda: len(acknowledged) > 500, 120)
        for node in nodes:
            node.cut_power()
    for node in nodes:
        node.restore_power()
    for node in nodes:
        node.until_up()
    until(lambda: service.send(BAG.read_bytes()).status_code == 201)
    return set(acknowledged) - service.all_ids()


def test_nothing_acknowledged_is_lost(ring: Callable[[str], list[Node]], serve: Callable[..., Service]) -> None:
    assert lost(serve, ring(cassandra_settings(3)[0])) == set()


def test_the_default_of_cassandra_loses_some(ring: Callable[[str], list[Node]], serve: Callable[..., Service]) -> None:
    """Otherwise the test above would prove nothing."""
    assert len(lost(serve, ring(f"{cassandra_settings(3)[0]}\n{DEFAULT}"))) > 0
