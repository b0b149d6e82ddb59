"""Writes that share a transaction: each would otherwise wait for its own flush. Tests: tests/unit/test_sqlite.py."""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from lookbook.errors import StoreUnavailable
from lookbook.store.sqlite.database import WAIT_SECONDS, Database, FileReplaced

_T = TypeVar("_T")


class _Write:
    """What a thread wants to write, and how it went."""

    def __init__(self, function: Callable[[sqlite3.Connection], Any]) -> None:
        self.function = function
        self.done = False
        self.result: Any = None
        self.error: Exception | None = None


class Writer:
    """Runs functions that write; all that are waiting share one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # SQLite's own lock is not fair: one of several threads could wait forever.
        self._lock = threading.Lock()
        self._waiting: deque[_Write] = deque()

    def run(self, function: Callable[[sqlite3.Connection], _T]) -> _T:
        """The function's result, once what it wrote is committed; after a rollback, the function may be called again.

        Raises StoreUnavailable, or what the function raises.
        """
        write = _Write(function)
        self._waiting.append(write)
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            try:
                self._waiting.remove(write)
            except ValueError:
                # Another thread is committing it right now.
                self._lock.acquire()
            else:
                raise StoreUnavailable("the store is unavailable: it is busy; try again")
        try:
            if not write.done:
                self._commit_waiting()
        finally:
            self._lock.release()
        if write.error:
            raise type(write.error)(*write.error.args) from write.error
        result: _T = write.result
        return result

    def _commit_waiting(self) -> None:
        """Commit all that are waiting; if one of several fails, commit each separately, so that the others succeed."""
        writes = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if len(writes) == 1 or not self._commit(writes):
            for write in writes:
                self._commit([write])

    def _commit(self, writes: list[_Write]) -> bool:
        """Whether the outcome of the writes is known."""
        try:
            try:
                self._execute(writes)
            except FileReplaced:
                self._execute(writes)  # into the file that is there now
        except StoreUnavailable as error:
            for write in writes:
                write.error = error
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits for this write
            if len(writes) > 1:
                return False
            writes[0].error = error
        for write in writes:
            write.done = True
        return True

    def _execute(self, writes: list[_Write]) -> None:
        with self._database.connection() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            for write in writes:
                write.result = write.function(connection)
