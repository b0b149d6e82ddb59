"""The embedded store, for one machine: SQLite, safe for many workers at once."""

import json
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from lookbook.errors import StoreUnavailable
from lookbook.prediction import Prediction, from_sort_key, sort_key
from lookbook.store import KEY_SECONDS, MAX_ROWS, TIMEOUT_SECONDS, Page, Query, Status, build_page, deletion_key

_CONNECTIONS = 4
_WAIT = TIMEOUT_SECONDS / 2  # for another thread, and again for another process
_OPEN_SECONDS = 10
_SWEEP_SECONDS = 1.0
_SWEEP_PAUSE = 0.02  # between two lots of rows, for those who wait to write
_SWEEP_ROWS = 500
_COLUMNS = "key, file_name, labels, scores, model_name, model_version"
_LIVE = "(expires IS NULL OR expires > :now)"


class SqliteStore:
    """See lookbook.store.Store. Expired rows are hidden at once and removed soon after."""

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
            _make_tables(path)
            for _ in range(_CONNECTIONS):
                self._free.put(_connect(path))
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        report(1)
        self._closing = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="store-sweeper", daemon=True)
        self._sweeper.start()

    def put(self, prediction: Prediction, thumbnail: bytes | None) -> None:
        self.put_all([(prediction, thumbnail)])

    def put_all(self, entries: Sequence[tuple[Prediction, bytes | None]]) -> None:
        with self._transaction() as connection:
            for prediction, thumbnail in entries:
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
            connection.execute("DELETE FROM idempotency_keys WHERE key = ? AND expires <= ?", (key, now))
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
                {"key": sort_key(id), "now": time.time()},
            ).fetchone()
        return row[0] if row else None

    def delete(self, id: UUID) -> bool:
        with self._transaction() as connection:
            found = _get(connection, id) is not None
            connection.execute("DELETE FROM thumbnails WHERE key = ?", (sort_key(id),))
            connection.execute("DELETE FROM predictions WHERE key = ?", (sort_key(id),))
            if found:
                connection.execute(
                    "INSERT OR REPLACE INTO idempotency_keys VALUES (?, ?, ?, ?)",
                    (deletion_key(id), id.bytes, b"", time.time() + KEY_SECONDS),
                )
        return found

    def deleted(self, id: UUID) -> bool:
        with self._connection() as connection:
            row = connection.execute(
                f"SELECT 1 FROM idempotency_keys WHERE key = :key AND {_LIVE}",
                {"key": deletion_key(id), "now": time.time()},
            ).fetchone()
        return row is not None

    def page(self, query: Query) -> Page:
        below = sort_key(query.below) if query.below else b"\xff" * 17
        since = sort_key(query.since) if query.since else b""
        now, most = time.time(), query.max_rows + MAX_ROWS
        rows: list[Prediction] = []
        met = 0
        with (
            self._connection() as connection,
            closing(
                connection.execute(
                    f"SELECT expires, {_COLUMNS} FROM predictions WHERE key < ? AND key >= ? ORDER BY key DESC LIMIT ?",
                    (below, since, most),
                )
            ) as found,
        ):
            for expires, *row in found:
                met += 1
                below = row[0]
                if expires is None or expires > now:
                    rows.append(_prediction(row))
                if len(rows) == query.max_rows:
                    break
        # Expired rows not yet removed count, too: a page that met too many ends before it is full.
        more = len(rows) == query.max_rows or met == most
        return build_page(rows, query, from_sort_key(below) if more else None)

    def status(self) -> Status:
        return Status(reached=True, available=True, failure=self._failure)

    def close(self) -> None:
        self._closing.set()
        self._sweeper.join()
        for _ in range(_CONNECTIONS):
            self._free.get().close()

    def _insert(self, connection: sqlite3.Connection, prediction: Prediction, thumbnail: bytes | None) -> None:
        key = sort_key(prediction.id)
        expires = time.time() + self._retention if self._retention else None
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

    def _sweep(self) -> None:
        """Remove what has expired, also while nobody writes."""
        while not self._closing.wait(_SWEEP_SECONDS):
            with suppress(StoreUnavailable):  # tried again
                while self._remove_expired() and not self._closing.wait(_SWEEP_PAUSE):
                    pass

    def _remove_expired(self) -> bool:
        """Remove some expired rows; whether there were any."""
        removed = 0
        with self._transaction() as connection:
            for table in ("predictions", "thumbnails", "idempotency_keys"):
                removed += connection.execute(
                    f"DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE expires <= ? LIMIT ?)",
                    (time.time(), _SWEEP_ROWS),
                ).rowcount
        return removed > 0

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
            with self._connection() as connection, connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
        finally:
            self._writing.release()


def _make_tables(path: str) -> None:
    """Several workers that do so at once wait for each other, which SQLite does not for WAL."""
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
        time.sleep(0.02)


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _get(connection: sqlite3.Connection, id: UUID) -> Prediction | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM predictions WHERE key = :key AND {_LIVE}", {"key": sort_key(id), "now": time.time()}
    ).fetchone()
    return _prediction(row) if row else None


def _prediction(row: Sequence[Any]) -> Prediction:
    key, file_name, labels, scores, model_name, model_version = row
    top = tuple(zip(json.loads(labels), json.loads(scores), strict=True))
    return Prediction(from_sort_key(key), file_name, top, model_name, model_version)
