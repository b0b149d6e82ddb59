"""The real service as a process, and its use of CPU and memory as the kernel counts it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests
from lookbook.settings import PREFIX

from benchmarks.errors import BenchmarkError

_READY_SECONDS = 60
_POLL_SECONDS = 0.01
# The server waits up to 25 seconds for its workers, and longer only for slow uploads.
_STOP_SECONDS = 40


class Server:
    """`lookbook serve` with one worker; `seconds` is the time from its start until /readyz returns 200."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path, began: float) -> None:
        """`began` is time.monotonic() before the start. Raises BenchmarkError if the service does not become ready."""
        self.url = url
        self._process = process
        self._await_ready(log, began)
        self.seconds = time.monotonic() - began
        (self.worker,) = _children(process.pid)

    def cpu_seconds(self) -> float:
        """CPU time of master and worker, user and system, in seconds."""
        return sum(_cpu_seconds(pid) for pid in (self._process.pid, self.worker))

    def resident(self) -> float:
        """The worker's VmRSS in MB (a million bytes each)."""
        lines = Path(f"/proc/{self.worker}/status").read_text().splitlines()
        (line,) = [line for line in lines if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024 / 1e6

    def _await_ready(self, log: Path, began: float) -> None:
        while not _is_ready(self.url):
            if self._process.poll() is not None:
                errors = [line for line in log.read_text().splitlines() if line.startswith("lookbook: ")]
                raise BenchmarkError(f"the service did not start: {errors[-1] if errors else self._process.returncode}")
            if time.monotonic() - began > _READY_SECONDS:
                raise BenchmarkError(f"the service was not ready after {_READY_SECONDS} seconds")
            time.sleep(_POLL_SECONDS)


@contextmanager
def serve(settings: Mapping[str, str], log: Path) -> Iterator[Server]:
    """The service on a free port; `settings` are environment variables, and its output goes to `log`."""
    address = f"127.0.0.1:{free_port()}"
    variables = {**environment(), **settings, "LOOKBOOK_BIND": address, "LOOKBOOK_WORKERS": "1"}
    began = time.monotonic()
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [sys.executable, "-m", "lookbook", "serve"], env=variables, stdout=lines, stderr=lines
        )
    try:
        yield Server(process, f"http://{address}", log, began)
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


def environment() -> dict[str, str]:
    """This process's environment without Lookbook's settings, except for those of Cassandra."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(f"{PREFIX}CASSANDRA_") or not name.startswith(PREFIX)
    }


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _cpu_seconds(pid: int) -> float:
    # The second field, the command in parentheses, may contain spaces: split after it, see proc_pid_stat(5).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
