"""What a peer does with a file that is no image, with SIGTERM under load, and with 2,000 connections."""

import http.client
import signal
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import requests

from benchmarks.load import try_drive
from benchmarks.peers.running import Running

CONNECTIONS = 2000

_CLIENTS = 8
_LOAD_SECONDS = 1.5
_EXIT_SECONDS = 20
_CROWD_SECONDS = 5
_PROBE_SECONDS = 0.1
_TIMEOUT_SECONDS = 10


def text_file(running: Running) -> str:
    """The status with which a text file is refused."""
    file = running.body.file.with_name("notes.txt")
    file.write_text("not an image\n")
    content, content_type = running.peer.body(file)
    url, headers = running.url + running.peer.path, {"Content-Type": content_type}
    return str(requests.post(url, content, headers=headers, timeout=_TIMEOUT_SECONDS).status_code)


def crowd(running: Running) -> str:
    """How requests from 2,000 connections end, and the longest time until a probe is answered meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        done = threading.Event()
        slowest = pool.submit(_slowest_probe, running, done)
        try:
            load, errors = try_drive(running.url, running.body, _CROWD_SECONDS, CONNECTIONS)
        finally:
            done.set()
    accepted = load.requests - sum(count for kind, count in errors.items() if kind.startswith("status "))
    failed = ", ".join(f"{count:,} x {kind}" for kind, count in sorted(errors.items())) or "no errors"
    return f"{accepted:,} accepted, {failed}; slowest probe {slowest.result()}"


def stop_under_load(running: Running) -> str:
    """How the requests after SIGTERM end, and the time until the process has ended."""
    stopped, ended = threading.Event(), threading.Event()
    with ThreadPoolExecutor(_CLIENTS) as pool:
        clients = [pool.submit(_post_until_closed, running, stopped, ended) for _ in range(_CLIENTS)]
        time.sleep(_LOAD_SECONDS)
        stopped.set()
        running.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        try:
            running.process.wait(_EXIT_SECONDS)
            end = f"ends after {time.monotonic() - began:.1f} s"
        except subprocess.TimeoutExpired:
            end = f"runs for more than {_EXIT_SECONDS} s"
        ended.set()
    outcomes = sum((client.result() for client in clients), Counter[str]())
    return ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items())) + f"; {end}"


def _slowest_probe(running: Running, done: threading.Event) -> str:
    slowest = 0.0
    while not done.wait(_PROBE_SECONDS):
        began = time.monotonic()
        try:
            requests.get(running.url + running.peer.ready, timeout=_TIMEOUT_SECONDS)
        except requests.RequestException:
            return "failed"
        slowest = max(slowest, time.monotonic() - began)
    return f"{slowest:.2f} s"


def _post_until_closed(running: Running, stopped: threading.Event, ended: threading.Event) -> Counter[str]:
    """What happens to one client's requests from SIGTERM until the server closes its connection, or ends."""
    found: Counter[str] = Counter()
    content = Path(running.body.file).read_bytes()
    headers = {"Content-Type": running.body.content_type}
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=_TIMEOUT_SECONDS)
    # As in a cluster, nobody opens new connections to a server that is shutting down.
    while not ended.is_set() and (connection.sock or not stopped.is_set()):
        outcome = _post(connection, running.peer.path, content, headers)
        if stopped.is_set():
            found[outcome] += 1
    connection.close()
    return found


def _post(connection: http.client.HTTPConnection, path: str, content: bytes, headers: dict[str, str]) -> str:
    try:
        connection.request("POST", path, content, headers)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return "cut off"
    return "answered" if response.status < 300 else f"with status {response.status}"
