"""Many requests at once, on one machine."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import requests
from PIL import Image

from tests.support.images import encoded
from tests.support.places import BAG
from tests.support.running import Service, until

_ACCEPTED = b"HTTP/1.1 200"


@contextmanager
def liveness(service: Service) -> Iterator[list[float]]:
    """Requests /livez without a pause; afterward, the list holds the seconds that each response took."""
    seconds: list[float] = []
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.liveness", str(service.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as probe:
        assert probe.stdout
        seconds.append(float(probe.stdout.readline()))
        yield seconds
        rest, _ = probe.communicate(timeout=60)
        seconds += [float(line) for line in rest.splitlines()]
        assert probe.returncode == 0


def make_large(manifest: dict[str, Any]) -> None:
    """Change a manifest so that no buffer of the system holds the response to GET /v1/model."""
    manifest["note"] = "x" * 8_000_000


def occupy(service: Service) -> socket.socket:
    """A request that counts against the limit for ten seconds: nobody reads its response. Needs a large manifest."""
    sock = until(lambda: _with_a_slot(service))
    assert sock
    return sock


def _with_a_slot(service: Service) -> socket.socket | None:
    sock = read_slowly(service, b"GET /v1/model HTTP/1.1\r\nHost: x\r\n\r\n")
    if sock.recv(len(_ACCEPTED)) == _ACCEPTED:
        return sock
    # Another request, such as one of the page's, was first.
    sock.close()
    return None


def read_slowly(service: Service, request: bytes) -> socket.socket:
    """A client that has sent a request and whose buffer holds only the start of the response."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", service.port))
    sock.sendall(request)
    return sock


def heavy() -> bytes:
    """A small image file that takes long to decode."""
    return encoded(Image.new("RGB", (4900, 4900), (1, 2, 3)))


@contextmanager
def writers(service: Service) -> Iterator[list[str]]:
    """Eight clients that write as long as the context lasts; the list holds the ids that were acknowledged so far."""
    acknowledged: list[str] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            try:
                response = service.send(BAG.read_bytes())
            except requests.RequestException:
                continue
            if response.status_code == 201:
                acknowledged.append(response.json()["id"])

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(write) for _ in range(8)]
        try:
            yield acknowledged
        finally:
            stop.set()
        for writer in running:
            writer.result()


def kill_under_load(service: Service) -> None:
    """Kill every worker during writes: each prediction that was acknowledged must still be stored."""
    with writers(service) as acknowledged:
        for _ in range(3):
            _kill_workers(service, acknowledged)
    until(lambda: service.send(BAG.read_bytes()).status_code == 201)
    assert len(acknowledged) > 150
    assert set(acknowledged) <= service.all_ids()


def _kill_workers(service: Service, acknowledged: Sequence[str]) -> None:
    """Kill every worker after fifty more predictions, and wait for new workers."""
    enough = len(acknowledged) + 50
    until(lambda: len(acknowledged) > enough)
    killed = set(service.workers())
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    until(lambda: service.workers() and killed.isdisjoint(service.workers()))


def one_key_at_once(service: Service) -> None:
    """Send one image twenty times at once with the same idempotency key: there must be one prediction."""
    key = {"Idempotency-Key": "the-key"}
    with ThreadPoolExecutor(20) as pool:
        responses = list(pool.map(lambda _: service.send(BAG.read_bytes(), **key), range(20)))
    codes = Counter(response.status_code for response in responses)
    assert codes == {200: 19, 201: 1}, [response.text for response in responses]
    assert len({response.text for response in responses}) == 1
    assert service.all_ids() == {responses[0].json()["id"]}
