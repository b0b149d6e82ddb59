"""The requests whose bodies the event loop collects: how long each may take, and how much memory they may use together.

Tests: tests/server/test_slow_uploads.py.
"""

import math
import time
from collections.abc import Iterator

from lookbook.errors import BodyTimeout
from lookbook.server.connection import Connection
from lookbook.settings import Settings


def longest_seconds(settings: Settings) -> int:
    """The time that the largest and slowest upload may take."""
    return settings.body_timeout + math.ceil(settings.max_bytes / settings.body_rate)


class Uploads:
    """Connections in the order in which their bodies began. Used by the event loop alone."""

    def __init__(self, settings: Settings) -> None:
        self._seconds = settings.body_timeout
        self._rate = settings.body_rate
        # As much as all requests that are handled at once may hold.
        self._limit = settings.max_requests * settings.max_bytes
        self._held = 0  # bytes, with those of requests that are being handled
        self._connections: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._connections)

    def __contains__(self, conn: Connection) -> bool:
        return conn in self._connections

    def add(self, conn: Connection) -> None:
        self._connections[conn] = None

    def remove(self, conn: Connection) -> None:
        """Forget a connection whose body is complete or given up."""
        del self._connections[conn]

    def hold(self, count: int) -> None:
        """Count bytes that have arrived or, if negative, that were released."""
        self._held += count

    def excess(self) -> Connection | None:
        """The slowest upload, if all uploads together use more memory than they may; otherwise None."""
        if self._held <= self._limit:
            return None
        holding = [conn for conn in self._connections if conn.body.held]
        return max(holding, key=lambda conn: conn.body.seconds() / conn.body.received, default=None)

    def late(self) -> Iterator[Connection]:
        """The uploads that have used up their time, which grows with what arrives."""
        now = time.monotonic()
        for conn in list(self._connections):
            if conn.body.began + self._seconds + conn.body.received / self._rate <= now:
                yield conn

    def timeout(self) -> BodyTimeout:
        """The error for the client of a late upload."""
        return BodyTimeout(
            "the request body did not arrive in time: "
            f"after {self._seconds} s, it must arrive at {self._rate} bytes per second or faster"
        )

    def unchecked(self, seconds: float) -> Iterator[Connection]:
        """The uploads that have taken so many seconds and that the application has not seen."""
        latest = time.monotonic() - seconds
        for conn in list(self._connections):
            if not conn.body.checked and conn.body.began <= latest:
                yield conn
