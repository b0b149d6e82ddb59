"""Connections that stay open between requests, and how they end."""

import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator

import pytest
import requests
from gunicorn.config import Config
from lookbook.server.connection import Connection
from lookbook.server.sockets import Socket
from lookbook.server.worker import Worker
from lookbook.settings import Settings

from tests.support.load import heavy
from tests.support.running import Service, until
from tests.support.wire import read_response

GET = b"GET /v1/model HTTP/1.1\r\nHost: x\r\n\r\n"


def connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), 30)


def test_balancers_that_keep_connections_for_a_minute_close_them_first() -> None:
    assert Settings().keep_alive >= 75


def test_an_idle_connection_is_closed_when_its_time_is_over(serve: Callable[..., Service]) -> None:
    service = serve(keep_alive=2).ready()
    with connect(service) as sock:
        for _ in range(3):
            time.sleep(1)
            sock.sendall(GET)
            assert b"Connection: keep-alive" in read_response(sock)
        began = time.monotonic()
        assert sock.recv(1) == b""
        assert 1.9 < time.monotonic() - began < 8


def test_connections_need_not_be_kept(serve: Callable[..., Service]) -> None:
    service = serve(keep_alive=0).ready()
    with connect(service) as sock:
        sock.sendall(GET)
        assert b"Connection: close" in read_response(sock)
        assert sock.recv(1) == b""


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker whose event loop does not run."""
    worker = Worker(1, os.getppid(), [], None, 30, Config(), None)
    worker.poller = selectors.DefaultSelector()
    yield worker
    worker.poller.close()
    worker.tmp.close()


@pytest.mark.parametrize(("sent", "kept"), [(b"", False), (b"GET /v1", True)], ids=["nothing", "a request"])
def test_a_request_that_has_just_arrived_keeps_its_connection(worker: Worker, sent: bytes, kept: bool) -> None:
    client, server = socket.socketpair()
    with client:
        conn = Connection(worker.cfg, Socket.take_over(server), ("127.0.0.1", 1), ("127.0.0.1", 2))
        conn.timeout = time.monotonic()
        worker.keepalived_conns.append(conn)
        worker.poller.register(conn.sock, selectors.EVENT_READ)
        client.sendall(sent)
        worker.murder_keepalived()
        assert not worker.keepalived_conns
        assert list(worker.pending_conns) == ([conn] if kept else [])
        assert (conn.sock.fileno() >= 0) == kept
        conn.close()


def test_every_response_during_shutdown_says_that_the_connection_closes(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    image = heavy()
    with connect(service) as busy, connect(service) as idle:
        idle.sendall(GET)
        assert b"Connection: keep-alive" in read_response(idle)
        busy.sendall(
            b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
            % len(image)
        )
        busy.sendall(image)
        until(lambda: "lookbook_in_flight 1.0" in requests.get(f"{service.url}/metrics", timeout=5).text)
        service.process.terminate()
        until(lambda: "Handling signal: term" in service.log.read_text())
        time.sleep(0.2)
        idle.sendall(GET)
        for sock in (idle, busy):
            assert b"Connection: close" in read_response(sock)
            assert sock.recv(1) == b""
    assert service.stop() == 0
