"""The real server against clients that are slow, rude or gone."""

import http.client
import socket
import time
from collections.abc import Callable

import pytest
import requests

from tests.conftest import BAG
from tests.running import Service, until

HEAD = b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"


def connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), 30)


def answer(sock: socket.socket) -> bytes:
    """All that comes until the server closes."""
    with sock.makefile("rb") as file:
        return file.read()


def listed(service: Service) -> list[dict]:
    return requests.get(f"{service.url}/v1/predictions", timeout=10).json()["items"]


def test_a_body_that_never_comes_ends_in_408(serve: Callable[..., Service]) -> None:
    service = serve(body_timeout=1).ready()
    for body in (b"", b"\x89PNG"):
        with connect(service) as sock:
            began = time.monotonic()
            sock.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + body)
            text = answer(sock)
        assert text.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"body_timeout"' in text
        assert 0.9 < time.monotonic() - began < 5
    assert listed(service) == []


def test_a_body_in_single_bytes_ends_in_408_too(serve: Callable[..., Service]) -> None:
    service = serve(body_timeout=2).ready()
    with connect(service) as sock:
        sock.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        sock.settimeout(0.1)
        text = b""
        deadline = time.monotonic() + 10
        while b"\r\n\r\n" not in text and time.monotonic() < deadline:
            sock.sendall(b"1\r\nx\r\n")
            try:
                text += sock.recv(4096)
            except TimeoutError:
                continue
    assert text.startswith(b"HTTP/1.1 408 ")


def test_a_head_that_never_ends_is_cut_off(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    with connect(service) as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nX: ")
        assert answer(sock) == b""


def test_a_refusal_reaches_a_client_that_is_still_sending(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    large = bytes(40 * 1024 * 1024)
    response = service.send(large)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "image_too_large")
    chunked = requests.post(
        f"{service.url}/v1/predictions", iter([large]), headers={"Content-Type": "image/png"}, timeout=30
    )
    assert chunked.status_code == 413
    assert listed(service) == []


def test_a_connection_serves_one_request_after_another(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    for _ in range(3):
        connection.request("POST", "/v1/predictions", BAG.read_bytes(), {"Content-Type": "image/png"})
        response = connection.getresponse()
        assert response.status == 201
        response.read()
        assert connection.sock is not None
        connection.request("POST", "/v1/predictions", b"hello", {"Content-Type": "text/plain"})
        response = connection.getresponse()
        assert response.status == 415
        response.read()
    connection.close()
    assert len(listed(service)) == 3


def test_requests_sent_in_one_go_are_all_answered(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    get = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    post = HEAD + b"Content-Length: %d\r\n\r\n" % len(BAG.read_bytes()) + BAG.read_bytes()
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with connect(service) as sock:
        sock.sendall(get + post + get + last)
        text = answer(sock)
    assert (text.count(b"HTTP/1.1 200"), text.count(b"HTTP/1.1 201")) == (3, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"\0\1\2\3\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nnot hex\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n",
        b"GET /" + b"x" * 70_000,
        b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000,
    ],
    ids=["text", "bytes", "version", "length", "smuggled", "chunk", "chunk end", "long path", "long header"],
)
def test_what_is_not_http_gets_a_4xx(serve: Callable[..., Service], data: bytes) -> None:
    service = serve().ready()
    with connect(service) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        text = answer(sock)
    assert text.startswith(b"HTTP/1.1 4") or text == b""
    assert requests.get(f"{service.url}/livez", timeout=5).status_code == 200
    assert "Traceback" not in service.log.read_text()


def test_clients_that_go_away_leave_nothing_behind(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    worker = service.workers()
    for cut in (0, 5, len(HEAD), len(HEAD) + 30, len(HEAD) + 200):
        for _ in range(5):
            with connect(service) as sock:
                sock.sendall((HEAD + b"Content-Length: 448\r\n\r\n" + BAG.read_bytes())[:cut])
    until(lambda: service.send(BAG.read_bytes()).status_code == 201)
    assert len(listed(service)) == 1
    assert service.workers() == worker
    assert "Traceback" not in service.log.read_text()


def test_a_request_under_way_is_finished_before_the_end(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    body = BAG.read_bytes()
    with connect(service) as sock:
        sock.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:100])
        until(lambda: "lookbook_in_flight 1.0" in requests.get(f"{service.url}/metrics", timeout=5).text)
        service.process.terminate()
        sock.sendall(body[100:])
        assert answer(sock).startswith(b"HTTP/1.1 201 ")
    assert service.stop() == 0
