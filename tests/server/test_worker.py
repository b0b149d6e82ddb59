"""The real server and clients that are slow, misbehave, or disconnect."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from lookbook.server.connection import SEND_SECONDS

from tests.support.load import read_slowly
from tests.support.places import BAG
from tests.support.running import Service, until

HEAD = b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"


def connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), 30)


def read_all(sock: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    with sock.makefile("rb") as file:
        return file.read()


def stored(service: Service) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = requests.get(f"{service.url}/v1/predictions", timeout=10).json()["items"]
    return items


def test_a_body_that_never_arrives_is_408(serve: Callable[..., Service]) -> None:
    service = serve(body_timeout=1).ready()
    for body in (b"", b"\x89PNG"):
        with connect(service) as sock:
            began = time.monotonic()
            sock.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + body)
            text = read_all(sock)
        assert text.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"body_timeout"' in text
        assert 0.9 < time.monotonic() - began < 5
    assert stored(service) == []


def test_a_body_sent_byte_by_byte_is_408(serve: Callable[..., Service]) -> None:
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


def test_a_head_that_never_ends_closes_the_connection(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    with connect(service) as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nX: ")
        assert read_all(sock) == b""


def test_a_refusal_reaches_a_client_that_is_still_sending(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    large = bytes(40 * 1024 * 1024)
    response = service.send(large)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "image_too_large")
    chunked = requests.post(
        f"{service.url}/v1/predictions", iter([large]), headers={"Content-Type": "image/png"}, timeout=30
    )
    assert chunked.status_code == 413
    assert stored(service) == []


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
    assert len(stored(service)) == 3


def test_pipelined_requests_are_all_answered(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    get = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    post = HEAD + b"Content-Length: %d\r\n\r\n" % len(BAG.read_bytes()) + BAG.read_bytes()
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with connect(service) as sock:
        sock.sendall(get + post + get + last)
        text = read_all(sock)
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
def test_malformed_http_is_4xx(serve: Callable[..., Service], data: bytes) -> None:
    service = serve().ready()
    with connect(service) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        text = read_all(sock)
    assert text.startswith(b"HTTP/1.1 4") or text == b""
    assert requests.get(f"{service.url}/livez", timeout=5).status_code == 200
    assert "Traceback" not in service.log.read_text()


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"hello\r\n\r\n", 400, "invalid_request"),
        (b"GET / HTTP/9.9\r\n\r\n", 400, "invalid_request"),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400, "invalid_request"),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400, "invalid_request"),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 414, "uri_too_long"),
        (HEAD + b"Expect: foo\r\n\r\n", 417, "expectation_failed"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431, "head_too_large"),
        (b"GET /livez HTTP/1.1\r\n" + b"X: x\r\n" * 11_000, 431, "head_too_large"),
        (HEAD + b"X: x\r\n" * 11_000, 431, "head_too_large"),
        *(
            (HEAD + b"Transfer-Encoding: " + coding + b"\r\n\r\n", 501, "not_implemented")
            for coding in (b"foo", b"gzip", b"gzip, chunked", b"deflate\r\nTransfer-Encoding: chunked")
        ),
        (HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400, "invalid_request"),
    ],
    ids=lambda value: value[len(HEAD) :][:40].decode() if isinstance(value, bytes) else "",
)
def test_parser_errors_have_the_form_of_other_errors(
    serve: Callable[..., Service], data: bytes, status: int, code: str
) -> None:
    service = serve().ready()
    with connect(service) as sock:
        began = time.monotonic()
        sock.sendall(data)
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    assert time.monotonic() - began < 5
    assert head.startswith(b"HTTP/1.1 %d " % status)
    error = json.loads(body)["error"]
    assert error["code"] == code
    assert error["message"].startswith("the ")


@pytest.mark.parametrize(
    "headers",
    [
        {"SCRIPT_NAME": "/x"},
        {"PATH_INFO": "/livez"},
        {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"},
        {"X-Forwarded-Proto": "https", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Host": "elsewhere.example"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_headers_that_a_proxy_adds_change_nothing(serve: Callable[..., Service], headers: dict[str, str]) -> None:
    response = requests.get(f"{serve().ready().url}/v1/model", headers=headers, timeout=10)
    assert (response.status_code, response.json()["name"]) == (200, "fashion-mnist-mlp")


def test_a_truncated_body_is_400(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    body = BAG.read_bytes()
    with connect(service) as sock:
        sock.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body)
        sock.shutdown(socket.SHUT_WR)
        text = read_all(sock)
    assert text.startswith(b"HTTP/1.1 400 ")
    assert b"the request body ended after %d of %d bytes" % (len(body), len(body) + 1) in text
    assert stored(service) == []


def test_clients_that_do_not_read_are_counted_and_then_disconnected(serve: Callable[..., Service]) -> None:
    service = serve(max_requests=2).ready()
    form = {"image": ("\N{SNOWMAN}" * 1000, BAG.read_bytes())}
    with requests.Session() as session:
        for _ in range(1000):
            assert session.post(f"{service.url}/v1/predictions", files=form, timeout=10).status_code == 201

    def in_flight(count: int) -> bool:
        return f"lookbook_in_flight {count}.0" in requests.get(f"{service.url}/metrics", timeout=5).text

    page = b"GET /v1/predictions?limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n"
    with read_slowly(service, page) as paused, read_slowly(service, page) as slow:
        until(lambda: in_flight(2))
        began = time.monotonic()
        while requests.get(f"{service.url}/v1/model", timeout=5).status_code == 503:
            assert slow.recv(1)
            assert time.monotonic() - began < 2 * SEND_SECONDS
            time.sleep(0.05)
        until(lambda: in_flight(0), SEND_SECONDS)
        assert time.monotonic() - began > SEND_SECONDS - 2
        assert len(read_all(paused)) < 5_000_000
    assert "Traceback" not in service.log.read_text()


def test_endless_requests_neither_fill_memory_nor_block_others(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    before = service.resident()
    block = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 10_000
    stop = threading.Event()

    def read(sock: socket.socket) -> None:
        with suppress(OSError):
            while sock.recv(1 << 20):
                continue

    def send(sock: socket.socket) -> None:
        with suppress(OSError):
            while not stop.is_set():
                sock.sendall(block)

    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(4))
        reading, silent = (stack.enter_context(connect(service)) for _ in range(2))
        pool.submit(read, reading)
        pool.submit(send, reading)
        pool.submit(send, silent)
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            requests.get(f"{service.url}/livez", timeout=2)
            assert service.resident() - before < 8 * 1024 * 1024
        stop.set()
        for sock in (reading, silent):
            sock.shutdown(socket.SHUT_RDWR)


def test_clients_that_disconnect_leave_nothing_behind(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    worker = service.workers()
    for cut in (0, 5, len(HEAD), len(HEAD) + 30, len(HEAD) + 200):
        for _ in range(5):
            with connect(service) as sock:
                sock.sendall((HEAD + b"Content-Length: 448\r\n\r\n" + BAG.read_bytes())[:cut])
    until(lambda: service.send(BAG.read_bytes()).status_code == 201)
    assert len(stored(service)) == 1
    assert service.workers() == worker
    assert "Traceback" not in service.log.read_text()


def test_a_request_in_progress_is_finished_before_shutdown(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    body = BAG.read_bytes()
    with connect(service) as sock:
        sock.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:100])
        until(lambda: "lookbook_in_flight 1.0" in requests.get(f"{service.url}/metrics", timeout=5).text)
        service.process.terminate()
        sock.sendall(body[100:])
        assert read_all(sock).startswith(b"HTTP/1.1 201 ")
    assert service.stop() == 0


def test_the_table_of_open_files_is_large_enough_from_the_start(serve: Callable[..., Service]) -> None:
    (worker,) = serve().ready().workers()
    status = Path(f"/proc/{worker}/status").read_text()
    (size,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("FDSize:")]
    assert size >= 1000
