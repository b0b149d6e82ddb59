"""`lookbook serve` as a process, for tests that need a real server."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import requests

ENDED_WITHIN = 30
# URLs of the servers that tests have started.
SERVICES: set[str] = set()

# Run by sh in the Cassandra container image: a node that accepts TLS only, and /tmp/ca.crt, which verifies it.
ENCRYPTED = """
set -e
cd /tmp
keytool -genkeypair -alias node -dname CN=node -keyalg RSA -validity 2 -storetype PKCS12 \
    -keystore keystore -storepass cassandra
keytool -exportcert -rfc -alias node -keystore keystore -storepass cassandra -file ca.crt
sed -i '/^client_encryption_options:/,/^[^ ]/{/keystore_password/d; s/enabled: false/enabled: true/
    s|keystore: .*|keystore: /tmp/keystore\\n  keystore_password: cassandra|}' /etc/cassandra/cassandra.yaml
exec docker-entrypoint.sh cassandra -f
"""

T = TypeVar("T")


def until(condition: Callable[[], T], seconds: float = 30) -> T:
    """Wait for the condition, and return its value; fail if it does not become true in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"the condition was not met within {seconds} seconds"
        time.sleep(0.02)
    return value


def docker(*arguments: str) -> str:
    """Output of a docker command; raises CalledProcessError."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=120).stdout


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as sock:
        sock.bind((host, 0))
        port = int(sock.getsockname()[1])
    SERVICES.discard(f"http://127.0.0.1:{port}")  # an earlier test's; another kind of server may follow
    return port


def error_code(url: str) -> str | None:
    """The code of the error that `url` responds with; None if nothing responds."""
    try:
        return str(requests.get(url, timeout=5).json()["error"]["code"])
    except requests.RequestException:
        return None


class Service:
    """A running server at `url`, which logs to `log`."""

    def __init__(
        self,
        options: Mapping[str, object],
        log: Path,
        prefix: tuple[str, ...] = (),
        command: tuple[object, ...] = (sys.executable, "-m", "lookbook", "serve"),
        cwd: Path | None = None,
    ) -> None:
        self.port = int(str(options["bind"]).rpartition(":")[2]) if "bind" in options else free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        SERVICES.add(self.url)
        self.log = log
        ours = ("LOOKBOOK_", "PROMETHEUS_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        settings = {
            f"LOOKBOOK_{name.upper()}": str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in {"bind": f"127.0.0.1:{self.port}", **options}.items()
        }
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [*prefix, *map(str, command)],
                cwd=cwd,
                env={**inherited, **settings, "PYTHONWARNINGS": "error,ignore::UserWarning:PIL.TiffImagePlugin"},
                stderr=file,
                stdout=file,
                start_new_session=True,
            )

    def ready(self) -> "Service":
        """Wait until /readyz responds with 200."""
        self._until_ok("/readyz")
        return self

    def until_alive(self) -> None:
        """Wait until /livez responds with 200."""
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

    def most_resident(self, sending: Sequence["Future[Any]"]) -> int:
        """Peak memory of the workers until all of `sending` are done, in bytes."""
        most = 0
        while not all(future.done() for future in sending):
            most = max(most, self.resident())
            time.sleep(0.005)
        return most

    def send(self, data: bytes, **headers: str) -> requests.Response:
        return requests.post(
            f"{self.url}/v1/predictions", data, headers={"Content-Type": "image/png", **headers}, timeout=30
        )

    def all_ids(self) -> set[str]:
        """The id of every prediction, read page by page."""
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
        """One page. A worker that has just started may respond with 503 at first."""
        responses: list[requests.Response] = []

        def succeeds() -> bool:
            responses.append(requests.get(f"{self.url}/v1/predictions", query, timeout=30))
            return responses[-1].status_code == 200

        until(succeeds, 10)
        page: dict[str, Any] = responses[-1].json()
        return page

    def stop(self) -> int:
        """Shut the server down; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(ENDED_WITHIN)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise
        return int(self.process.returncode)
