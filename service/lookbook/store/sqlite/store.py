"""Predictions in SQLite. Tests: tests/unit/test_store.py, tests/unit/test_sqlite.py."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

from lookbook.job import Job
from lookbook.judgment import GroundTruth, Judgment
from lookbook.prediction import Prediction, from_sort_key, sort_key
from lookbook.store import (
    KEY_SECONDS,
    MAX_ROWS,
    Comparison,
    DayFrame,
    Entry,
    Flip,
    Input,
    Page,
    Query,
    Sample,
    SampledDay,
    Status,
    build_page,
    deletion_key,
)
from lookbook.store.rows import BATCH_ROWS, Rows, build_rows, ids_of, split
from lookbook.store.sqlite import comparisons, jobs, judgments, samples
from lookbook.store.sqlite.database import Database
from lookbook.store.sqlite.sweeper import Sweeper
from lookbook.store.sqlite.writer import Writer

_COLUMNS = "key, file_name, labels, scores, model_name, model_version"
_NOT_EXPIRED = "(expires IS NULL OR expires > :now)"
_ABOVE_EVERY_KEY = b"\xff" * 17
_DAY_SECONDS = 24 * 60 * 60


class SqliteStore:
    """See lookbook.store.Store. Expired rows are hidden at once and removed soon after."""

    def __init__(self, path: str, report: Callable[[float], None], retention: int = 0, keep_days: int = 28) -> None:
        """`report` gets 1 while the store is available and 0 while it is not; `retention` is in seconds, 0: no limit.

        Inputs and comparisons are kept for `keep_days`, but no longer than predictions. Raises StoreUnavailable if the
        file cannot be opened or written.
        """
        self._retention = retention
        self._keep_seconds = min(keep_days * _DAY_SECONDS, retention or keep_days * _DAY_SECONDS)
        self._database = Database(path, report)
        self._writer = Writer(self._database)
        self._sweeper = Sweeper(self._writer)

    def put(self, entry: Entry) -> None:
        self.put_all([entry])

    def put_all(self, entries: Sequence[Entry]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            for entry in entries:
                self._insert(connection, entry, time.time())

        self._writer.run(write)

    def put_if_absent(self, entry: Entry) -> Prediction:
        def write(connection: sqlite3.Connection) -> Prediction:
            stored = _get(connection, entry.prediction.id)
            if stored is None:
                self._insert(connection, entry, time.time())
            return stored or entry.prediction

        return self._writer.run(write)

    def start_job(self, job: Job) -> Job:
        return self._writer.run(lambda connection: jobs.start(connection, job))

    def job(self, tag: int) -> Job | None:
        with self._database.connection() as connection:
            return next(iter(jobs.read(connection, tag)), None)

    def jobs(self) -> list[Job]:
        with self._database.connection() as connection:
            return jobs.read(connection)

    def put_job(self, job: Job, entries: Sequence[Entry]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            for entry in entries:
                if not _is_deleted(connection, entry.prediction.id):
                    self._insert(connection, entry, job.started_at.timestamp())
                    # The day may be closed already.
                    samples.remove_frame(connection, entry)

        self._writer.run(write)

    def existing(self, ids: Sequence[UUID]) -> set[UUID]:
        with self._database.connection() as connection:
            return {id for id in ids if _get(connection, id)}

    def resume_seconds(self) -> int:
        return KEY_SECONDS

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

    def input(self, id: UUID) -> Input | None:
        with self._database.connection() as connection:
            return samples.read_input(connection, id)

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

    def forget(self, id: UUID, model_name: str, model_version: str) -> None:
        """Nothing is ever left: triggers delete it, whichever version deletes the prediction."""

    def deleted(self, id: UUID) -> bool:
        with self._database.connection() as connection:
            return _is_deleted(connection, id)

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
            # Without a filter, the page contains only these rows.
            truths = judgments.read_truths(connection, rows)
        more = len(rows) == query.max_rows or count == limit
        return build_page(rows, query, from_sort_key(below) if more else None, truths)

    def judge(self, prediction: Prediction, judgment: Judgment) -> None:
        self._writer.run(lambda connection: judgments.insert(connection, prediction.id, judgment))

    def judgments(self, id: UUID) -> tuple[Judgment, ...]:
        with self._database.connection() as connection:
            return judgments.read(connection, id)

    def truths(self, ids: Sequence[UUID]) -> Mapping[UUID, GroundTruth]:
        with self._database.connection() as connection:
            return judgments.read_truths_of(connection, ids)

    def sampled_days(self, since: int, until: int) -> list[SampledDay]:
        with self._database.connection() as connection:
            return samples.read_days(connection, since, until)

    def samples(self, day: SampledDay, limit: int, after: tuple[float, UUID] | None = None) -> list[Sample]:
        with self._database.connection() as connection:
            return samples.read(connection, day, limit, after)

    def sampled_judgments(self, day: SampledDay, below: float) -> list[Judgment]:
        with self._database.connection() as connection:
            return judgments.read_sampled(connection, day, below)

    def frames(self, model_name: str, model_version: str, since: int, until: int) -> dict[int, DayFrame]:
        with self._database.connection() as connection:
            rows = samples.read_frames(connection, "scores, ids", (model_name, model_version), since, until)
        return {day: DayFrame(scores, ids) for day, scores, ids in rows}

    def frame_scores(self, model_name: str, model_version: str, since: int, until: int) -> dict[int, bytes]:
        with self._database.connection() as connection:
            return dict(samples.read_frames(connection, "scores", (model_name, model_version), since, until))

    def put_frame(self, day: SampledDay, frame: DayFrame, read_at: int) -> None:
        self._writer.run(
            lambda connection: samples.insert_frame(connection, day, frame, read_at / 1e6, self._retention)
        )

    def claim_review(self, id: UUID, owner: str, seconds: int) -> bool:
        return self._writer.run(lambda connection: judgments.claim_review(connection, id, owner, seconds))

    def put_comparison(self, comparison: Comparison, flips: Sequence[Flip]) -> None:
        expires = time.time() + self._keep_seconds
        self._writer.run(lambda connection: comparisons.insert(connection, comparison, flips, expires))

    def comparisons(self, baseline: str, candidate: str | None, limit: int) -> list[Comparison]:
        with self._database.connection() as connection:
            return comparisons.read(connection, baseline, candidate, limit)

    def flips(self, comparison: UUID, limit: int, after: tuple[float, UUID] | None = None) -> list[Flip]:
        with self._database.connection() as connection:
            return comparisons.read_flips(connection, comparison, limit, after)

    def put_drift_reference(self, model_name: str, model_version: str, id: UUID, annotator: str) -> None:
        model = (model_name, model_version)
        self._writer.run(lambda connection: comparisons.insert_reference(connection, model, id, annotator))

    def drift_references(self, model_name: str, model_version: str) -> list[tuple[UUID, str]]:
        with self._database.connection() as connection:
            return comparisons.read_references(connection, (model_name, model_version))

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
                judged = judgments.read_between(connection, keys[-1], keys[0])
            below = keys[-1]
            yield build_rows(ids_of(keys), columns, judged)

    def ranges(self, since: UUID | None, until: UUID | None, count: int) -> list[tuple[UUID, UUID]]:
        bounds = (sort_key(since) if since else b"", sort_key(until) if until else _ABOVE_EVERY_KEY)
        statement = "SELECT {}(key) FROM predictions WHERE key >= ? AND key < ?"
        with self._database.connection() as connection:
            # Separate statements, because SQLite uses the index only for a single minimum or maximum.
            lowest, highest = (
                connection.execute(statement.format(end), bounds).fetchone()[0] for end in ("min", "max")
            )
        return split(from_sort_key(lowest), from_sort_key(highest), count) if lowest else []

    def status(self) -> Status:
        return Status(reached=True, available=True, failure=self._database.failure)

    def close(self) -> None:
        self._sweeper.stop()
        self._database.close()

    def _insert(self, connection: sqlite3.Connection, entry: Entry, now: float) -> None:
        """Store as if at `now`, in seconds since 1970."""
        prediction = entry.prediction
        key = sort_key(prediction.id)
        expires = now + self._retention if self._retention else None
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
        if entry.thumbnail is not None:
            connection.execute("INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?)", (key, entry.thumbnail, expires))
        samples.insert(connection, entry, now + self._keep_seconds)


def _is_deleted(connection: sqlite3.Connection, id: UUID) -> bool:
    row = connection.execute(
        f"SELECT 1 FROM idempotency_keys WHERE key = :key AND {_NOT_EXPIRED}",
        {"key": deletion_key(id), "now": time.time()},
    ).fetchone()
    return row is not None


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
