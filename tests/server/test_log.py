"""The log, on a standard error that is blocked, closed, or full."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.support.places import BAG
from tests.support.requirements import lacking
from tests.support.running import Service, until

LINES = 3_000
# Writes its lines, each of a kilobyte; when told to, it waits for the reader, and prints how many lines it has dropped.
WRITING = f"""
import sys
from lookbook.server import stderr

stderr.install()
for number in range({LINES}):
    sys.stderr.write(f"{{number:04}}" + "x" * 1019 + "\\n")
print("written", flush=True)
sys.stdin.readline()
while not (dropped := sys.stderr.take_dropped()):
    sys.stderr.flush()
print(dropped)
"""
OTHER_USER = ("setpriv", "--reuid=65534")


def read_all(descriptor: int) -> bytes:
    """Everything until all writers have closed it."""
    found = b""
    while True:
        try:
            data = os.read(descriptor, 1 << 20)
        except OSError:  # a terminal without writers
            return found
        if not data:
            return found
        found += data


def check_bounded(reader: int, writer: int, *prefix: str) -> None:
    """A process writes without waiting for the reader; the lines that it keeps are complete, the others are counted."""
    command = [*prefix, sys.executable, "-c", WRITING]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=writer, text=True) as process:
        os.close(writer)
        assert process.stdout
        assert process.stdout.readline() == "written\n"
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read_all, reader)
            out, _ = process.communicate("\n", timeout=30)
            numbers = [int(line[:4]) for line in reading.result().splitlines()]
    os.close(reader)
    assert numbers == sorted(set(numbers))
    assert 1_000 < len(numbers) < 2_000
    assert int(out) == LINES - len(numbers)


def test_a_pipe_is_not_waited_for() -> None:
    check_bounded(*os.pipe())


def test_a_socket_is_not_waited_for() -> None:
    reader, writer = socket.socketpair()
    check_bounded(reader.detach(), writer.detach())


def test_a_terminal_is_not_waited_for() -> None:
    check_bounded(*pty.openpty())


def test_the_pipe_of_another_user_is_not_waited_for() -> None:
    if subprocess.run([*OTHER_USER, "true"], capture_output=True).returncode:
        lacking("becoming another user needs permission: run as root")
    check_bounded(*os.pipe(), *OTHER_USER)


def test_other_processes_that_share_the_pipe_may_wait() -> None:
    reader, writer = os.pipe()
    code = "from lookbook.server import stderr; stderr.install()"
    subprocess.run([sys.executable, "-c", code], stderr=writer, check=True)
    assert os.get_blocking(writer)
    os.close(reader)
    os.close(writer)


@pytest.fixture
def unread(tmp_path: Path) -> int:
    """Reads the log of a server from a pipe, if it reads at all."""
    os.mkfifo(tmp_path / "log")
    return os.open(tmp_path / "log", os.O_RDWR)


def redirected(to: str) -> tuple[str, ...]:
    """A prefix that runs a command with another standard error."""
    return ("sh", "-c", f'exec "$@" 2>{to}', "sh")


def check_serves(service: Service) -> None:
    """Check that the server serves, restarts a worker, and stops, no matter what happens to its log."""
    assert service.send(BAG.read_bytes()).status_code == 201
    (worker,) = service.workers()
    os.kill(worker, signal.SIGKILL)
    until(lambda: service.workers() not in ([], [worker]))
    service.ready()
    assert service.send(BAG.read_bytes()).status_code == 201
    assert service.stop() == 0


def test_a_log_that_nobody_reads_stops_nothing(serve: Callable[..., Service], unread: int, tmp_path: Path) -> None:
    service = serve(redirected(str(tmp_path / "log"))).ready()
    path = "/" + "x" * 3500

    def log_much(count: int) -> None:
        with requests.Session() as session:
            for _ in range(count):
                assert session.get(f"{service.url}{path}", timeout=10).status_code == 404

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(log_much, [120] * 4))
    read: list[bytes] = []
    os.set_blocking(unread, False)

    def drained() -> bool:
        requests.get(f"{service.url}/v1/model", timeout=5)
        with suppress(BlockingIOError):
            while True:
                read.append(os.read(unread, 1 << 20))
        return b"lines missing here" in b"".join(read)

    until(drained)
    lines = [json.loads(line) for line in b"".join(read).splitlines() if line.startswith(b"{")]
    (notice,) = [line["message"] for line in lines if "lines missing here: " in line["message"]]
    kept = sum(line.get("path") == path for line in lines)
    assert kept + int(notice.split()[3].strip(",")) == 480
    check_serves(service)


def test_a_worker_starts_and_stops_on_a_blocked_log(serve: Callable[..., Service], unread: int, tmp_path: Path) -> None:
    service = serve(redirected(str(tmp_path / "log"))).ready()
    os.set_blocking(unread, False)
    while True:
        try:
            os.write(unread, bytes(4096))
        except BlockingIOError:
            break
    check_serves(service)


@pytest.mark.parametrize("to", ["/dev/full", "&-"], ids=["full", "closed"])
def test_a_log_that_cannot_be_written_stops_nothing(serve: Callable[..., Service], to: str) -> None:
    check_serves(serve(redirected(to)).ready())


def test_a_log_whose_reader_has_gone_stops_nothing(serve: Callable[..., Service], unread: int, tmp_path: Path) -> None:
    service = serve(redirected(str(tmp_path / "log"))).ready()
    os.close(unread)
    check_serves(service)
