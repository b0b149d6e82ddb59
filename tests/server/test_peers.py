"""Servers that share a store and ask each other whether it is available."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from lookbook.http.peers import Peers
from lookbook.settings import Settings

from tests.support.forwarder import Forwarder, forwarder
from tests.support.places import BAG
from tests.support.running import Service, free_port, until

UP = json.dumps({"status": "ready", "store": "up"})
VALID_SECONDS = 5


@dataclass
class Pod:
    """A server, and its connection to the store."""

    service: Service
    way: Forwarder

    def is_ready(self) -> bool:
        """What /readyz says; the health endpoints of /v2 say the same, if it does not change in between."""
        return requests.get(f"{self.service.url}/readyz", timeout=5).status_code == 200

    def state(self) -> dict[str, str]:
        found: dict[str, str] = requests.get(f"{self.service.url}/readyz", timeout=5).json()
        return found

    def fails(self) -> bool:
        return self.service.send(BAG.read_bytes()).status_code == 503


@pytest.fixture
def pods(serve: Callable[..., Service], on_cassandra: dict[str, object]) -> Iterator[tuple[Pod, Pod]]:
    """Two servers on one Cassandra, each with a connection to it that can be cut."""
    ports = free_port(), free_port()
    ways = free_port(), free_port()
    with ExitStack() as stack:
        made = [
            Pod(
                serve(
                    bind=f"127.0.0.1:{own}",
                    peers=f"localhost:{other}",
                    **{**on_cassandra, "cassandra_port": way},
                ),
                stack.enter_context(forwarder("127.0.0.1", way)),
            )
            for own, other, way in zip(ports, reversed(ports), ways, strict=True)
        ]
        for pod in made:
            pod.service.ready()
        yield made[0], made[1]
        for pod in made:
            pod.way.restore()


@pytest.mark.cassandra
def test_a_server_cut_off_from_the_store_is_not_ready_while_another_can_serve(pods: tuple[Pod, Pod]) -> None:
    cut_off, other = pods
    cut_off.way.cut()
    until(lambda: not cut_off.is_ready(), 10)
    assert cut_off.state()["status"] == "unavailable"
    assert requests.get(f"{cut_off.service.url}/v2/health/ready", timeout=5).json() == {"ready": False}
    assert requests.get(f"{cut_off.service.url}/livez", timeout=5).status_code == 200
    # A client that keeps its connection open reaches another server with the next one.
    assert cut_off.service.send(BAG.read_bytes()).headers["Connection"] == "close"
    assert other.is_ready()
    assert other.service.send(BAG.read_bytes()).headers["Connection"] == "keep-alive"
    cut_off.way.restore()
    until(cut_off.is_ready, 10)
    until(lambda: not cut_off.fails(), 10)


@pytest.mark.cassandra
def test_servers_stay_ready_if_none_reaches_the_store(pods: tuple[Pod, Pod]) -> None:
    for pod in pods:
        pod.way.cut()
    for pod in pods:
        until(pod.fails)
    # The first may have asked the second just before that was cut off.
    until(lambda: all(pod.is_ready() for pod in pods), 2 * VALID_SECONDS)
    began = time.monotonic()
    while time.monotonic() - began < 2 * VALID_SECONDS:
        assert [pod.is_ready() for pod in pods] == [True, True], [pod.state() for pod in pods]
    assert "up" not in [pod.state()["store"] for pod in pods]


@pytest.mark.cassandra
def test_the_last_server_cut_off_makes_the_first_ready_again(pods: tuple[Pod, Pod]) -> None:
    for pod in pods:
        pod.way.cut()
        if pod is pods[0]:
            until(lambda: not pods[0].is_ready(), 10)
    until(pods[0].is_ready, 20)
    assert pods[1].is_ready()


class Peer:
    """A server that responds to /readyz with the given text, and counts how often it was asked."""

    def __init__(self, status: int, body: str) -> None:
        peer = self
        self.asked = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert self.path == "/readyz"
                peer.asked += 1
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def peer(status: int, body: str) -> Iterator[Peer]:
    running = Peer(status, body)
    try:
        yield running
    finally:
        running.close()


@contextmanager
def asking(address: str, own: str = "127.0.0.1:1") -> Iterator[Peers]:
    """Asks the peers at this address, as a server that has lost its store does."""
    made = Peers(Settings(peers=address, bind=own))
    made.store_changed(0)
    try:
        yield made
    finally:
        made.store_changed(1)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, json.dumps({"status": "ready", "store": "timed out"})),
        (503, UP),
        (200, "up"),
        (200, "[]"),
        (404, "nothing here"),
    ],
)
def test_a_peer_that_does_not_say_so_is_not_available(status: int, body: str) -> None:
    with peer(status, body) as other, asking(f"127.0.0.1:{other.port}") as peers:
        until(lambda: other.asked > 1)
        assert not peers.available


@pytest.mark.parametrize("address", ["no-such-name.invalid:8080", "127.0.0.1:1"])
def test_peers_that_cannot_be_asked_are_not_available(address: str) -> None:
    with peer(200, UP) as other, asking(address) as peers, asking(f"127.0.0.1:{other.port}") as positive:
        until(lambda: other.asked > 1 and positive.available)
        assert not peers.available


def test_a_server_is_no_peer_of_itself() -> None:
    with peer(200, UP) as other:
        address = f"127.0.0.1:{other.port}"
        with asking(address, own=f"0.0.0.0:{other.port}") as peers, asking(address) as positive:
            until(lambda: other.asked > 1 and positive.available)
            assert not peers.available


def test_an_old_check_does_not_count() -> None:
    with ExitStack() as stack:
        with peer(200, UP) as other:
            peers = stack.enter_context(asking(f"127.0.0.1:{other.port}"))
            until(lambda: peers.available)
        until(lambda: not peers.available, 2 * VALID_SECONDS)


def test_nobody_is_asked_while_the_store_is_available() -> None:
    with peer(200, UP) as other, asking(f"127.0.0.1:{other.port}") as peers:
        until(lambda: peers.available)
        peers.store_changed(1)
        asked = other.asked
        until(lambda: not peers.available, 2 * VALID_SECONDS)
        assert other.asked <= asked + 1  # a check that had begun


def test_without_the_setting_no_thread_is_started() -> None:
    before = threading.active_count()
    assert not Peers(Settings()).available
    assert threading.active_count() == before
