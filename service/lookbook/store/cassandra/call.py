"""One execution of a statement, within its deadline. Tests: tests/server/test_faults.py."""

import time
from collections.abc import Callable
from typing import Any

from cassandra import Unavailable
from cassandra.cluster import NoHostAvailable, ResponseFuture
from cassandra.connection import ConnectionException

from lookbook.store import TIMEOUT_SECONDS

# No node, or no quorum, was reached. A later attempt may reach one.
_NOT_REACHED = (NoHostAvailable, ConnectionException, Unavailable)
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.25


class Call:
    """Sends the statement again if no quorum could be reached, as long as there is time."""

    def __init__(self, send: Callable[[float], ResponseFuture]) -> None:
        """`send` gets the seconds that are left."""
        self._send = send
        self._deadline = time.monotonic() + TIMEOUT_SECONDS
        self._pause = _FIRST_PAUSE_SECONDS
        self._resent = False
        self._future = send(TIMEOUT_SECONDS)

    @property
    def repeated(self) -> bool:
        """Whether more than one node may have executed the statement."""
        return self._resent or len(self._future.attempted_hosts) > 1

    def rows(self) -> list[tuple[Any, ...]]:
        """Wait for the rows. Raises what the last attempt raised, one of DRIVER_ERRORS."""
        while True:
            try:
                return self._future.result().current_rows  # type: ignore[no-any-return]
            except _NOT_REACHED:
                left = self._deadline - time.monotonic() - self._pause
                if left <= 0:
                    raise
            time.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
            self._resent = True
            self._future = self._send(left)
