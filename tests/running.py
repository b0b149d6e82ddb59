"""`lookbook serve` as a process, for the tests that need a real server."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

ENDED_WITHIN = 30


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for the condition; fail when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.02)


def docker(*arguments: str) -> str:
    """Output of a docker command; raises CalledProcessError."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=120).stdout


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as sock:
        sock.bind((host, 0))
        return int(sock.getsockname()[1])


class Service:
    """A running server: `url`, and what it wrote to `log`."""

    def __init__(self, options: Mapping[str, object], log: Path, prefix: tuple[str, ...] = ()) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOOKBOOK_", "PROMETHEUS_"))}
        settings = {
            f"LOOKBOOK_{name.upper()}": str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in {"bind": f"127.0.0.1:{self.port}", **options}.items()
        }
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "service", "serve"],
                env={**kept, **settings, "PYTHONWARNINGS": "error,ignore::UserWarning:PIL.TiffImagePlugin"},
                stderr=file,
                stdout=file,
                start_new_session=True,
            )

    def ready(self) -> "Service":
        """Wait until /readyz says so."""
        self._until_ok("/readyz")
        return self

    def until_alive(self) -> None:
        """Wait until /livez says so."""
        self._until_ok("/livez")

    def _until_ok(self, path: str) -> None:
        until(lambda: self.process.poll() is not None or self._ok(path))
        assert self.process.poll() is None, self.log.read_text()

    def _ok(self, path: str) -> bool:
        try:
            return requests.get(f"{self.url}{path}", timeout=5).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def resident(self) -> int:
        """Memory of the workers, in bytes."""
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.workers()]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def send(self, data: bytes, **headers: str) -> requests.Response:
        return requests.post(
            f"{self.url}/v1/predictions", data, headers={"Content-Type": "image/png", **headers}, timeout=30
        )

    def all_ids(self) -> set[str]:
        """Every id in the list, walked page by page."""
        found: list[str] = []
        cursor = None
        while True:
            page = self._page({"limit": "1000", **({"cursor": cursor} if cursor else {})})
            found += [item["id"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                assert len(found) == len(set(found))
                return set(found)

    def _page(self, query: Mapping[str, str]) -> dict[str, Any]:
        """A page; a worker that was just started may first say 503."""
        answers: list[requests.Response] = []

        def asked() -> bool:
            answers.append(requests.get(f"{self.url}/v1/predictions", query, timeout=30))
            return answers[-1].status_code == 200

        until(asked, 10)
        page: dict[str, Any] = answers[-1].json()
        return page

    def stop(self) -> int:
        """End it politely; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(ENDED_WITHIN)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise
        return int(self.process.returncode)
