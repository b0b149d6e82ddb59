"""Predictions in SQLite. Tests: tests/unit/test_store.py, tests/unit/test_sqlite.py."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

from lookbook.prediction import Prediction, from_sort_key, sort_key
from lookbook.store import KEY_SECONDS, MAX_ROWS, Page, Query, Status, build_page, deletion_key
from lookbook.store.rows import BATCH_ROWS, Rows, build_rows, ids_of
from lookbook.store.sqlite.database import Database
from lookbook.store.sqlite.sweeper import Sweeper
from lookbook.store.sqlite.writer import Writer

_COLUMNS = "key, file_name, labels, scores, model_name, model_version"
_NOT_EXPIRED = "(expires IS NULL OR expires > :now)"
_ABOVE_EVERY_KEY = b"\xff" * 17


class SqliteStore:
    """See lookbook.store.Store. Expired rows are hidden at once and removed soon after."""

    def __init__(self, path: str, report: Callable[[float], None], retention: int = 0) -> None:
        """`report` gets 1 while the store is available and 0 while it is not; `retention` is in seconds, 0: no limit.

        Raises StoreUnavailable if the file cannot be opened or written.
        """
        self._retention = retention
        self._database = Database(path, report)
        self._writer = Writer(self._database)
        self._sweeper = Sweeper(self._writer)

    def put(self, prediction: Prediction, thumbnail: bytes | None) -> None:
        self.put_all([(prediction, thumbnail)])

    def put_all(self, entries: Sequence[tuple[Prediction, bytes | None]]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            for prediction, thumbnail in entries:
                self._insert(connection, prediction, thumbnail)

        self._writer.run(write)

    def put_if_absent(self, prediction: Prediction, thumbnail: bytes | None) -> Prediction:
        def write(connection: sqlite3.Connection) -> Prediction:
            stored = _get(connection, prediction.id)
            if stored is None:
                self._insert(connection, prediction, thumbnail)
            return stored or prediction

        return self._writer.run(write)

    def claim(self, key: str, digest: bytes, id: UUID) -> tuple[UUID, bytes]:
        def write(connection: sqlite3.Connection) -> tuple[UUID, bytes]:
            now = time.time()
            connection.execute("DELETE FROM idempotency_keys WHERE key = ? AND expires <= ?", (key, now))
            connection.execute(
                "INSERT INTO idempotency_keys VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (key, id.bytes, digest, now + KEY_SECONDS),
            )
            known_id, known_digest = connection.execute(
                "SELECT id, digest FROM idempotency_keys WHERE key = ?", (key,)
            ).fetchone()
            return UUID(bytes=known_id), known_digest

        return self._writer.run(write)

    def get(self, id: UUID) -> Prediction | None:
        with self._database.connection() as connection:
            return _get(connection, id)

    def thumbnail(self, id: UUID) -> bytes | None:
        with self._database.connection() as connection:
            row = connection.execute(
                f"SELECT picture FROM thumbnails WHERE key = :key AND {_NOT_EXPIRED}",
                {"key": sort_key(id), "now": time.time()},
            ).fetchone()
        return row[0] if row else None

    def delete(self, id: UUID) -> bool:
        def write(connection: sqlite3.Connection) -> bool:
            found = _get(connection, id) is not None
            connection.execute("DELETE FROM thumbnails WHERE key = ?", (sort_key(id),))
            connection.execute("DELETE FROM predictions WHERE key = ?", (sort_key(id),))
            if found:
                connection.execute(
                    "INSERT OR REPLACE INTO idempotency_keys VALUES (?, ?, ?, ?)",
                    (deletion_key(id), id.bytes, b"", time.time() + KEY_SECONDS),
                )
            return found

        return self._writer.run(write)

    def deleted(self, id: UUID) -> bool:
        with self._database.connection() as connection:
            row = connection.execute(
                f"SELECT 1 FROM idempotency_keys WHERE key = :key AND {_NOT_EXPIRED}",
                {"key": deletion_key(id), "now": time.time()},
            ).fetchone()
        return row is not None

    def page(self, query: Query) -> Page:
        below = sort_key(query.below) if query.below else _ABOVE_EVERY_KEY
        since = sort_key(query.since) if query.since else b""
        # Expired rows that are not removed yet count: a page that meets too many of them ends before it is full.
        now, limit = time.time(), query.max_rows + MAX_ROWS
        rows: list[Prediction] = []
        count = 0
        statement = f"SELECT expires, {_COLUMNS} FROM predictions WHERE key < ? AND key >= ? ORDER BY key DESC LIMIT ?"
        with (
            self._database.connection() as connection,
            closing(connection.execute(statement, (below, since, limit))) as found,
        ):
            for expires, *row in found:
                count += 1
                below = row[0]
                if expires is None or expires > now:
                    rows.append(_prediction(row))
                if len(rows) == query.max_rows:
                    break
        more = len(rows) == query.max_rows or count == limit
        return build_page(rows, query, from_sort_key(below) if more else None)

    def scan(self, since: UUID | None = None, until: UUID | None = None) -> Iterator[Rows]:
        below = sort_key(until) if until else _ABOVE_EVERY_KEY
        lowest = sort_key(since) if since else b""
        statement = (
            f"SELECT {_COLUMNS} FROM predictions WHERE key < ? AND key >= ? AND (expires IS NULL OR expires > ?)"
            f" ORDER BY key DESC LIMIT {BATCH_ROWS}"
        )
        while True:
            with self._database.connection() as connection:
                found = connection.execute(statement, (below, lowest, time.time())).fetchall()
            if not found:
                return
            keys, *columns = zip(*found, strict=True)
            below = keys[-1]
            yield build_rows(ids_of(keys), columns)

    def status(self) -> Status:
        return Status(reached=True, available=True, failure=self._database.failure)

    def close(self) -> None:
        self._sweeper.stop()
        self._database.close()

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


def _get(connection: sqlite3.Connection, id: UUID) -> Prediction | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM predictions WHERE key = :key AND {_NOT_EXPIRED}",
        {"key": sort_key(id), "now": time.time()},
    ).fetchone()
    return _prediction(row) if row else None


def _prediction(row: Sequence[Any]) -> Prediction:
    key, file_name, labels, scores, model_name, model_version = row
    top = tuple(zip(json.loads(labels), json.loads(scores), strict=True))
    return Prediction(from_sort_key(key), file_name, top, model_name, model_version)
