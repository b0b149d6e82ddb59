"""Slow uploads: how long they may take, what they cost other requests, and how they end."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
from lookbook.settings import Settings

from tests.support.load import liveness, make_large, occupy
from tests.support.places import BAG
from tests.support.running import Service, until
from tests.support.wire import read_response

HEAD = b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
BODY = BAG.read_bytes()


def connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), 60)


def with_length(data: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(data) + data


def chunked(data: bytes) -> bytes:
    pieces = [data[start : start + 5_000] for start in range(0, len(data), 5_000)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def padded(size: int) -> bytes:
    """An image file of that size; what follows its end is ignored."""
    return BODY + bytes(size - len(BODY))


def send(service: Service, request: bytes, rate: int) -> bytes:
    """The response to a request that is sent at so many bytes per second."""
    with connect(service) as sock:
        began = time.monotonic()
        for start in range(0, len(request), rate // 20):
            with suppress(OSError):
                sock.sendall(request[start : start + rate // 20])
            time.sleep(max(0.0, began + start / rate - time.monotonic()))
        return read_response(sock)


def metric(service: Service, name: str) -> float:
    lines = requests.get(f"{service.url}/metrics", timeout=5).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"lookbook_{name} "))


@pytest.fixture
def half_sent() -> Iterator[Callable[[Service], socket.socket]]:
    """Uploads of which only the first bytes have been sent."""
    with ExitStack() as stack:

        def begin(service: Service) -> socket.socket:
            before = metric(service, "receiving")
            sock = stack.enter_context(connect(service))
            sock.sendall(with_length(BODY)[:-100])
            until(lambda: metric(service, "receiving") == before + 1)
            return sock

        yield begin


def finish(sock: socket.socket) -> bytes:
    """Send the rest of an upload; its response."""
    sock.sendall(BODY[-100:])
    return read_response(sock)


@pytest.mark.parametrize("encode", [with_length, chunked], ids=["length", "chunked"])
def test_a_slow_but_steady_upload_is_accepted(serve: Callable[..., Service], encode: Callable[[bytes], bytes]) -> None:
    service = serve(body_timeout=1).ready()
    began = time.monotonic()
    assert send(service, encode(padded(600_000)), 150_000).startswith(b"HTTP/1.1 201 ")
    assert time.monotonic() - began > 3
    until(lambda: metric(service, "receiving") == metric(service, "in_flight") == 0)


@pytest.mark.parametrize("encode", [with_length, chunked], ids=["length", "chunked"])
def test_an_upload_below_the_rate_is_408(serve: Callable[..., Service], encode: Callable[[bytes], bytes]) -> None:
    service = serve(body_timeout=1).ready()
    response = send(service, encode(padded(200_000)), 50_000)
    assert response.startswith(b"HTTP/1.1 408 ")
    assert b"after 1 s, it must arrive at 131072 bytes per second or faster" in response


def test_the_rate_is_a_setting(serve: Callable[..., Service]) -> None:
    service = serve(body_timeout=1, body_rate=10_000).ready()
    assert send(service, with_length(padded(60_000)), 20_000).startswith(b"HTTP/1.1 201 ")


def test_an_upload_does_not_count_as_a_request(
    serve: Callable[..., Service], half_sent: Callable[[Service], socket.socket]
) -> None:
    service = serve(max_requests=1).ready()
    uploads = [half_sent(service) for _ in range(5)]
    assert metric(service, "in_flight") == 5
    for sock in uploads:
        assert service.send(BODY).status_code == 201
        # A request may end a little after its response.
        until(lambda: metric(service, "in_flight") == metric(service, "receiving"))
        assert finish(sock).startswith(b"HTTP/1.1 201 ")
        until(lambda: metric(service, "in_flight") == metric(service, "receiving"))
    assert metric(service, "receiving") == 0
    assert metric(service, "refused_total") == 0


@pytest.mark.parametrize(
    ("request_line", "fields", "status"),
    [
        (b"POST /v1/predictions", b"Content-Type: text/plain\r\n", 415),
        (b"POST /v1/predictions", b"Content-Type: image/png\r\nSec-Fetch-Site: cross-site\r\n", 403),
        (b"POST /nowhere", b"", 404),
        (b"PUT /v1/predictions", b"", 405),
        (b"POST /v1/predictions", b"Content-Type: image/png\r\nbad header\r\n", 400),
    ],
    ids=["type", "site", "path", "method", "head"],
)
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000\r\n", b"Transfer-Encoding: chunked\r\n"], ids=["length", "chunked"]
)
def test_a_request_is_refused_before_its_body_has_arrived(
    serve: Callable[..., Service], request_line: bytes, fields: bytes, status: int, framing: bytes
) -> None:
    service = serve(body_timeout=60).ready()
    with connect(service) as sock:
        sock.sendall(request_line + b" HTTP/1.1\r\nHost: x\r\n" + framing + fields + b"\r\n")
        response = read_response(sock)
    assert response.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in response


def test_a_token_is_required_before_the_body(serve: Callable[..., Service], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    service = serve(tokens_file=tmp_path / "tokens", body_timeout=60).ready()
    with connect(service) as sock:
        sock.sendall(with_length(BODY)[:-100])
        assert read_response(sock).startswith(b"HTTP/1.1 401 ")


def test_a_busy_worker_refuses_a_request_before_its_body(
    serve: Callable[..., Service], altered: Callable[..., Path]
) -> None:
    service = serve(max_requests=1, model=altered(make_large), body_timeout=60).ready()
    with occupy(service), connect(service) as sock:
        until(lambda: metric(service, "in_flight") == 1)
        sock.sendall(with_length(BODY)[:-100])
        assert read_response(sock).startswith(b"HTTP/1.1 503 ")


def test_a_client_that_asks_is_told_when_to_send_the_body(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    head, _, body = with_length(BODY).partition(b"\r\n\r\n")
    asking = head + b"\r\nExpect: 100-continue\r\n\r\n"
    with connect(service) as sock:
        for _ in range(2):
            sock.sendall(asking)
            assert read_response(sock) == b"HTTP/1.1 100 Continue\r\n\r\n"
            sock.sendall(body)
            assert read_response(sock).startswith(b"HTTP/1.1 201 ")
        sock.sendall(asking.replace(b"image/png", b"text/plain"))
        assert read_response(sock).startswith(b"HTTP/1.1 415 ")


def test_what_follows_a_slow_upload_is_answered_too(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    get = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for encode in (with_length, chunked):
        request = encode(padded(20_000)) + get
        with connect(service) as sock:
            for start in range(0, len(request), 3_000):
                sock.sendall(request[start : start + 3_000])
                time.sleep(0.02)
            with sock.makefile("rb") as file:
                text = file.read()
        assert (text.count(b"HTTP/1.1 201 "), text.count(b"HTTP/1.1 200 ")) == (1, 1)


def test_a_client_that_disconnects_halfway_leaves_nothing_behind(
    serve: Callable[..., Service], half_sent: Callable[[Service], socket.socket]
) -> None:
    service = serve().ready()
    for _ in range(3):
        half_sent(service).close()
    until(lambda: metric(service, "receiving") == metric(service, "in_flight") == 0)
    with connect(service) as sock:
        sock.sendall(with_length(BODY)[:-100])
        sock.shutdown(socket.SHUT_WR)
        assert b"the request body ended after %d of %d bytes" % (len(BODY) - 100, len(BODY)) in read_response(sock)
    assert "Traceback" not in service.log.read_text()


def test_the_memory_of_all_uploads_is_limited(serve: Callable[..., Service]) -> None:
    size = 4_000_000
    service = serve(max_requests=4, max_bytes=size, body_timeout=60).ready()
    before = service.resident()
    with ExitStack() as stack:
        for _ in range(20):
            sock = stack.enter_context(connect(service))
            sock.sendall(with_length(padded(size))[: size - 1000])
        # The slowest make room, for others and for one that is fast.
        assert service.send(padded(1_000_000)).status_code == 201
        assert service.resident() - before < 4 * size + 20_000_000
        assert metric(service, "refused_total") >= 16
    until(lambda: metric(service, "receiving") == 0)
    assert service.resident() - before < 20_000_000


def test_an_upload_in_progress_is_finished_before_shutdown(
    serve: Callable[..., Service], half_sent: Callable[[Service], socket.socket]
) -> None:
    service = serve().ready()
    sock = half_sent(service)
    service.process.terminate()
    until(lambda: "Handling signal: term" in service.log.read_text())
    time.sleep(3)
    response = finish(sock)
    assert response.startswith(b"HTTP/1.1 201 ")
    assert b"Connection: close" in response
    assert service.process.wait(10) == 0


def test_two_hundred_slow_uploads_harm_nobody(serve: Callable[..., Service]) -> None:
    service = serve(body_rate=1_000).ready()
    request = with_length(padded(10_000))
    stop = threading.Event()

    def post() -> list[int]:
        codes = []
        while not stop.is_set():
            codes.append(service.send(BODY).status_code)
            time.sleep(0.05)
        return codes

    pieces = [request[start : start + 2_000] for start in range(0, len(request), 2_000)]
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        socks = [stack.enter_context(connect(service)) for _ in range(200)]
        with liveness(service) as seconds:
            posting = pool.submit(post)
            for piece in pieces[:-1]:
                for sock in socks:
                    sock.sendall(piece)
                time.sleep(1)
            stop.set()
            assert set(posting.result()) == {201}
            # Now they are two hundred requests at once.
            for sock in socks:
                sock.sendall(pieces[-1])
            answers = [read_response(sock)[:12] for sock in socks]
    assert set(answers) <= {b"HTTP/1.1 201", b"HTTP/1.1 503"}
    assert answers.count(b"HTTP/1.1 201") >= Settings().max_requests
    assert max(seconds) < 0.1
