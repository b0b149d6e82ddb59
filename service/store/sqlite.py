"""The embedded store, for one machine: SQLite, safe for many workers at once."""

import json
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from service.errors import StoreUnavailable
from service.prediction import Prediction, from_order, order
from service.store import KEY_SECONDS, TIMEOUT, Page, Query, cut

_CONNECTIONS = 4
_WAIT = TIMEOUT / 2  # for another thread, and again for another process
_OPEN_SECONDS = 10
_COLUMNS = "key, file_name, labels, scores, model_name, model_version"
_LIVE = "(expires IS NULL OR expires > :now)"


class SqliteStore:
    """See service.store.Store. Expired rows are hidden at once and removed by later writes."""

    def __init__(self, path: str, report: Callable[[float], None], retention: int = 0) -> None:
        """`report` is told 1 while the store answers, else 0.

        Raises StoreUnavailable where the file cannot be opened.
        """
        self._report = report
        self._retention = retention
        self._failure: str | None = None
        # SQLite's own waiting is unfair: between threads it can starve one of them.
        self._writing = threading.Lock()
        self._free: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        try:
            for _ in range(_CONNECTIONS):
                self._free.put(_connect(path))
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        report(1)

    def put(self, prediction: Prediction, thumbnail: bytes | None) -> None:
        with self._transaction() as connection:
            self._insert(connection, prediction, thumbnail)

    def put_if_absent(self, prediction: Prediction, thumbnail: bytes | None) -> Prediction:
        with self._transaction() as connection:
            standing = _get(connection, prediction.id)
            if standing:
                return standing
            self._insert(connection, prediction, thumbnail)
            return prediction

    def claim(self, key: str, digest: bytes, id: UUID) -> tuple[UUID, bytes]:
        now = time.time()
        with self._transaction() as connection:
            connection.execute("DELETE FROM idempotency_keys WHERE expires <= ?", (now,))
            connection.execute(
                "INSERT INTO idempotency_keys VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (key, id.bytes, digest, now + KEY_SECONDS),
            )
            found, known = connection.execute(
                "SELECT id, digest FROM idempotency_keys WHERE key = ?", (key,)
            ).fetchone()
        return UUID(bytes=found), known

    def get(self, id: UUID) -> Prediction | None:
        with self._connection() as connection:
            return _get(connection, id)

    def thumbnail(self, id: UUID) -> bytes | None:
        with self._connection() as connection:
            row = connection.execute(
                f"SELECT picture FROM thumbnails WHERE key = :key AND {_LIVE}",
                {"key": order(id), "now": time.time()},
            ).fetchone()
        return row[0] if row else None

    def delete(self, id: UUID) -> bool:
        with self._transaction() as connection:
            found = _get(connection, id) is not None
            connection.execute("DELETE FROM thumbnails WHERE key = ?", (order(id),))
            connection.execute("DELETE FROM predictions WHERE key = ?", (order(id),))
        return found

    def page(self, query: Query) -> Page:
        with self._connection() as connection:
            found = connection.execute(
                f"SELECT {_COLUMNS} FROM predictions WHERE key < :below AND key >= :since AND {_LIVE}"
                " ORDER BY key DESC LIMIT :rows",
                {
                    "below": order(query.below) if query.below else b"\xff" * 17,
                    "since": order(query.since) if query.since else b"",
                    "now": time.time(),
                    "rows": query.rows,
                },
            ).fetchall()
        rows = [_prediction(row) for row in found]
        return cut(rows, query, rows[-1].id if len(rows) == query.rows else None)

    def state(self) -> str | None:
        return self._failure

    def reached(self) -> bool:
        return True

    def close(self) -> None:
        for _ in range(_CONNECTIONS):
            self._free.get().close()

    def _insert(self, connection: sqlite3.Connection, prediction: Prediction, thumbnail: bytes | None) -> None:
        key = order(prediction.id)
        now = time.time()
        expires = now + self._retention if self._retention else None
        for table in ("predictions", "thumbnails"):
            connection.execute(
                f"DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE expires <= ? LIMIT 10)", (now,)
            )
        connection.execute(
            f"INSERT OR REPLACE INTO predictions ({_COLUMNS}, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                key,
                prediction.file_name,
                json.dumps([label for label, _ in prediction.top]),
                json.dumps([score for _, score in prediction.top]),
                prediction.model_name,
                prediction.model_version,
                expires,
            ),
        )
        if thumbnail is not None:
            connection.execute("INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?)", (key, thumbnail, expires))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._free.get(timeout=_WAIT)
        except queue.Empty:
            raise StoreUnavailable("the store is busy") from None
        try:
            yield connection
            self._tell(None)
        except sqlite3.Error as error:
            self._tell(str(error))
            raise StoreUnavailable(f"the store does not answer: {error}") from error
        finally:
            self._free.put(connection)

    def _tell(self, failure: str | None) -> None:
        if failure != self._failure:
            self._failure = failure
            self._report(float(failure is None))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if not self._writing.acquire(timeout=_WAIT):
            raise StoreUnavailable("the store is busy")
        try:
            with self._connection() as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
        finally:
            self._writing.release()


def _connect(path: str) -> sqlite3.Connection:
    """Open the file; several workers that make it at once wait for each other, which SQLite does not for WAL."""
    deadline = time.monotonic() + _OPEN_SECONDS
    while True:
        connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript((Path(__file__).parent / "schema.sql").read_text())
        except sqlite3.OperationalError as error:
            connection.close()
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return connection


def _get(connection: sqlite3.Connection, id: UUID) -> Prediction | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM predictions WHERE key = :key AND {_LIVE}", {"key": order(id), "now": time.time()}
    ).fetchone()
    return _prediction(row) if row else None


def _prediction(row: tuple[Any, ...]) -> Prediction:
    key, file_name, labels, scores, model_name, model_version = row
    top = tuple(zip(json.loads(labels), json.loads(scores), strict=True))
    return Prediction(from_order(key), file_name, top, model_name, model_version)
