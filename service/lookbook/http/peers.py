"""The other servers that share the store. Tests: tests/server/test_peers.py."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from random import SystemRandom

from lookbook.settings import Settings

_INTERVAL_SECONDS = 1.0
_TIMEOUT_SECONDS = 1.0  # to connect to a peer, and for each part of its response
_VALID_SECONDS = 5.0
_MAX_ASKED = 8  # peers in one check, chosen at random
_MAX_BODY_BYTES = 64 * 1024


class Peers:
    """Asks in the background, while the store is unavailable to this server, whether it is available to another."""

    def __init__(self, settings: Settings) -> None:
        """No thread is started, and there are no peers, if the setting is empty."""
        self._own_port = _port(settings.bind)
        self._host = settings.peers.rpartition(":")[0].strip("[]")
        self._port = _port(settings.peers or ":0")
        self._store_lost = threading.Event()
        self._last_found = float("-inf")
        if settings.peers:
            threading.Thread(target=self._watch, name="peers", daemon=True).start()

    @property
    def available(self) -> bool:
        """Whether a recent check found a peer that is ready and to which the store is available."""
        return time.monotonic() - self._last_found < _VALID_SECONDS

    def store_changed(self, available: float) -> None:
        """Start or stop checking: `available` is 1 or 0."""
        if available:
            self._store_lost.clear()
        else:
            self._store_lost.set()

    def _watch(self) -> None:
        while True:
            self._store_lost.wait()
            time.sleep(_INTERVAL_SECONDS)
            if self._store_lost.is_set() and self._any_available():
                self._last_found = time.monotonic()

    def _any_available(self) -> bool:
        try:
            found = {str(entry[4][0]) for entry in socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)}
        except OSError:
            return False
        others = [address for address in found if not self._is_own(address)]
        asked = SystemRandom().sample(others, min(len(others), _MAX_ASKED))
        with ThreadPoolExecutor(_MAX_ASKED) as pool:
            return any(pool.map(self._is_available, asked))

    def _is_own(self, address: str) -> bool:
        """Whether this server listens there: other worker processes of this server are not peers."""
        return self._port == self._own_port and _is_local(address)

    def _is_available(self, address: str) -> bool:
        with closing(HTTPConnection(address, self._port, timeout=_TIMEOUT_SECONDS)) as connection:
            try:
                connection.request("GET", "/readyz")
                response = connection.getresponse()
                return response.status == 200 and json.loads(response.read(_MAX_BODY_BYTES))["store"] == "up"
            except (OSError, HTTPException, ValueError, KeyError, TypeError):
                return False


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _is_local(address: str) -> bool:
    """Whether the address is one of this machine's."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((address, 0))
        except OSError:
            return False
    return True
