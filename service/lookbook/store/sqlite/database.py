"""The SQLite file: its tables, a pool of connections, and transactions. Tests: tests/unit/test_sqlite.py."""

import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lookbook.errors import StoreUnavailable
from lookbook.store import TIMEOUT_SECONDS

_CONNECTIONS = 4
_WAIT_SECONDS = TIMEOUT_SECONDS / 2  # for another thread, and again for another process
_OPEN_SECONDS = 10
_RETRY_SECONDS = 0.02


class Database:
    """Safe to use from several threads and processes."""

    def __init__(self, path: str, report: Callable[[float], None]) -> None:
        """`report` gets 1 while the database works and 0 while it fails.

        Raises StoreUnavailable if the file cannot be opened.
        """
        self.failure: str | None = None  # why the last call failed, in one line; None if it succeeded
        self._report = report
        # SQLite's own lock is not fair: one of several threads could wait for ever.
        self._write_lock = threading.Lock()
        self._free: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        try:
            _create_tables(path)
            for _ in range(_CONNECTIONS):
                self._free.put(_connect(path))
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        report(1)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of the pool, to read. Raises StoreUnavailable."""
        try:
            connection = self._free.get(timeout=_WAIT_SECONDS)
        except queue.Empty:
            raise StoreUnavailable("the store is busy") from None
        try:
            yield connection
            self._set_failure(None)
        except sqlite3.Error as error:
            self._set_failure(str(error))
            raise StoreUnavailable(f"the store is unavailable: {error}") from error
        finally:
            self._free.put(connection)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection of the pool, to write; commits at the end. Raises StoreUnavailable."""
        if not self._write_lock.acquire(timeout=_WAIT_SECONDS):
            raise StoreUnavailable("the store is busy")
        try:
            with self.connection() as connection, connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
        finally:
            self._write_lock.release()

    def close(self) -> None:
        """Wait for the connections that are in use, and close all."""
        for _ in range(_CONNECTIONS):
            self._free.get().close()

    def _set_failure(self, failure: str | None) -> None:
        if failure != self.failure:
            self.failure = failure
            self._report(float(failure is None))


def _create_tables(path: str) -> None:
    """Workers that do this at the same time wait for each other; SQLite does not wait for the switch to WAL."""
    script = (Path(__file__).parent / "schema.sql").read_text()
    deadline = time.monotonic() + _OPEN_SECONDS
    while True:
        try:
            with closing(_connect(path)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(script)
                return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(_RETRY_SECONDS)


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    return connection
