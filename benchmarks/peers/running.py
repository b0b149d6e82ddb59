"""A peer as a process."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from benchmarks.cases import Sample
from benchmarks.errors import BenchmarkError
from benchmarks.load import Body
from benchmarks.peers import process_tree
from benchmarks.peers.peers import Peer
from benchmarks.server import environment, free_port

_READY_SECONDS = 120
_POLL_SECONDS = 0.02
_STOP_SECONDS = 40
# Ray gives up if its agents need more than 15 seconds, as they do on a busy machine: ray-project/ray#65983.
_ATTEMPTS = 3


class Running:
    """A peer that is ready; `seconds` is the time from its start until then."""

    def __init__(self, peer: Peer, url: str, body: Body, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.peer = peer
        self.url = url
        self.body = body
        self.process = process
        self.seconds = seconds


@contextmanager
def run(peer: Peer, sample: Sample) -> Iterator[Running]:
    """Raises BenchmarkError if the peer does not become ready; one that ends is started again first."""
    with tempfile.TemporaryDirectory(prefix="lookbook-peers-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        content, content_type = peer.body(sample.image)
        body = Body(folder / "body", content_type, peer.path, peer.status)
        body.file.write_bytes(content)
        running = _started(peer, sample, body, folder)
        try:
            yield running
        finally:
            _stop(running.process)


def _started(peer: Peer, sample: Sample, body: Body, folder: Path, attempts: int = _ATTEMPTS) -> Running:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    start = peer.prepare(sample, port, folder)
    began = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            start.command,
            env={**environment(), **start.variables},
            cwd=start.folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _await_ready(url + peer.ready, process, folder / "log", began)
    except BaseException:
        has_ended = process.poll() is not None
        _stop(process)
        if has_ended and attempts > 1:
            return _started(peer, sample, body, folder, attempts - 1)
        raise
    return Running(peer, url, body, process, time.monotonic() - began)


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path, began: float) -> None:
    while not _is_ready(url):
        if process.poll() is not None or time.monotonic() - began > _READY_SECONDS:
            lines = log.read_text(errors="replace").strip().splitlines()
            raise BenchmarkError(f"the server is not ready: {lines[-1] if lines else process.returncode}")
        time.sleep(_POLL_SECONDS)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it has started."""
    tree = list(process_tree.processes(process.pid))
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    # Some leave children behind, in the same process group or, as Ray does, in others.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pid in tree:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
