"""The SQLite file: its tables, and a pool of connections to read from it. Tests: tests/unit/test_sqlite.py."""

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lookbook.errors import StoreUnavailable
from lookbook.store import TIMEOUT_SECONDS

WAIT_SECONDS = TIMEOUT_SECONDS / 2  # for another thread, and again for another process

_CONNECTIONS = 4
_OPEN_SECONDS = 10
_RETRY_SECONDS = 0.02
_PROBE = "INSERT OR REPLACE INTO idempotency_keys VALUES ('probe\n', x'', x'', 0)"  # the sweeper removes it

# Device and inode of the file and of those that SQLite keeps beside it.
Identity = tuple[tuple[int, int], ...]


class FileReplaced(StoreUnavailable):
    """What was read or written is not in the file at the path."""


class Database:
    """Safe to use from several threads and processes."""

    def __init__(self, path: str, report: Callable[[float], None]) -> None:
        """`report` gets 1 while the database works and 0 while it fails.

        Raises StoreUnavailable if the file cannot be opened or written.
        """
        self.failure: str | None = None  # why the last call failed, in one line; None if it succeeded
        self._path = path
        self._files = (path, f"{path}-wal", f"{path}-shm")
        self._report = report
        self._opening = threading.Lock()
        self._free: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._identity: Identity = ()
        self._open()
        report(1)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of the pool. Raises StoreUnavailable, and FileReplaced after opening the path again.

        What was written to a removed file would be gone after a restart.
        """
        if not self._identity:
            self._reopen()
        pool, identity = self._free, self._identity
        try:
            connection = pool.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            raise StoreUnavailable("the store is unavailable: it is busy; try again") from None
        try:
            yield connection
            replaced = not self._is_current(identity)
            self._set_failure(None)
        except sqlite3.Error as error:
            self._set_failure(str(error))
            raise StoreUnavailable(f"the store is unavailable: {error}") from error
        finally:
            pool.put(connection)
        if replaced:
            self._reopen()
            raise FileReplaced(f"{self._path} was removed or replaced; send the request again")

    def close(self) -> None:
        """Wait for the connections that are in use, and close all."""
        for _ in range(_CONNECTIONS):
            self._free.get().close()

    def _open(self) -> None:
        """Open all connections, or none."""
        opened: list[sqlite3.Connection] = []
        try:
            _create_tables(self._path)
            opened += [_connect(self._path) for _ in range(_CONNECTIONS)]
            # Only a write shows whether the file can be written.
            opened[0].execute(_PROBE)
        except sqlite3.Error as error:
            for connection in opened:
                connection.close()
            raise StoreUnavailable(
                f"{self._path}: {error}: set LOOKBOOK_SQLITE_PATH to a file in a folder that this user can write to"
            ) from error
        self._free, self._identity = queue.SimpleQueue(), self._current_identity()
        for connection in opened:
            self._free.put(connection)

    def _reopen(self) -> None:
        with self._opening:
            if self._is_current(self._identity):
                return  # another thread has done it
            if self._identity:
                # Close first, because SQLite shares what it knows of a file among the connections of a process.
                self.close()
                self._identity = ()
            try:
                self._open()
            except StoreUnavailable as error:
                self._set_failure(str(error))
                raise

    def _is_current(self, identity: Identity) -> bool:
        return bool(identity) and identity == self._current_identity()

    def _current_identity(self) -> Identity:
        """Empty if one of the files is missing."""
        try:
            found = [os.stat(file) for file in self._files]
        except FileNotFoundError:
            return ()
        return tuple((stat.st_dev, stat.st_ino) for stat in found)

    def _set_failure(self, failure: str | None) -> None:
        if failure != self.failure:
            self.failure = failure
            self._report(float(failure is None))


def _create_tables(path: str) -> None:
    """Creates the tables; tries again while other workers do, because SQLite does not wait for the switch to WAL."""
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
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    return connection
