"""Samples, their inputs, and the frames of closed days in Cassandra. Tests: tests/unit/test_store_samples.py."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from lookbook.prediction import Prediction, day, permanent_random, shard, sort_key
from lookbook.settings import Settings
from lookbook.store import DayFrame, Entry, Input, Sample, SampledDay
from lookbook.store.cassandra.buckets import LOWEST_ID, expiration
from lookbook.store.cassandra.connection import Connection
from lookbook.store.cassandra.statements import Statement

_SAMPLE = "model_name = ? AND model_version = ? AND day = ? AND shard = ? AND u = ? AND id = ?"
_FRAMES = "FROM {ks}.frames WHERE model_name = ? AND model_version = ? AND day <= ? AND day >= ?"

STATEMENTS = {
    "put_sample": "INSERT INTO {ks}.samples (model_name, model_version, day, shard, u, id, labels, scores, rate)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?",
    "put_sample_day": "INSERT INTO {ks}.sample_days (year, day, model_name, model_version, shards)"
    " VALUES (?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?",
    "put_input": "INSERT INTO {ks}.inputs (id, kind, content) VALUES (?, ?, ?) USING TTL ?",
    "put_frame": "INSERT INTO {ks}.frames (model_name, model_version, day, scores, ids) VALUES (?, ?, ?, ?, ?)"
    " USING TTL ? AND TIMESTAMP ?",
    "get_sample": f"SELECT id FROM {{ks}}.samples WHERE {_SAMPLE}",
    "get_input": "SELECT kind, content FROM {ks}.inputs WHERE id = ?",
    "list_sample_days": "SELECT day, model_name, model_version, shards FROM {ks}.sample_days"
    " WHERE year = ? AND day <= ? AND day >= ?",
    "list_samples": "SELECT id, labels, scores, rate FROM {ks}.samples"
    " WHERE model_name = ? AND model_version = ? AND day = ? AND shard IN ? AND (u, id) > (?, ?) PER PARTITION LIMIT ?",
    "list_frames": f"SELECT day, scores, ids {_FRAMES}",
    "list_frame_scores": f"SELECT day, scores {_FRAMES}",
    "delete_sample": f"DELETE FROM {{ks}}.samples USING TIMESTAMP ? WHERE {_SAMPLE}",
    "delete_input": "DELETE FROM {ks}.inputs USING TIMESTAMP ? WHERE id = ?",
    "delete_frame": "DELETE FROM {ks}.frames USING TIMESTAMP ? WHERE model_name = ? AND model_version = ? AND day = ?",
}

_PERIOD_SECONDS = 60 * 60
_DAY_SECONDS = 24 * 60 * 60
_LONGEST_YEAR = 366  # by which a clock may be ahead
_EPOCH = date(1970, 1, 1)


class Samples:
    """Safe to use from several threads."""

    def __init__(self, connection: Connection, settings: Settings, keep_seconds: int) -> None:
        """Inputs are kept for `keep_seconds`."""
        self._connection = connection
        self._shards = settings.shards
        self._retention = settings.retention
        self._keep_seconds = keep_seconds
        self._added: set[tuple[SampledDay, int, int]] = set()

    def to_put(self, entry: Entry) -> list[Statement]:
        """What stores sample and input of an entry; nothing while the tables are missing."""
        prediction, rate = entry.prediction, entry.sampling_rate
        statements: list[Statement] = []
        if not self._connection.complete():
            return statements
        if entry.input:
            values = (prediction.id, entry.input.kind, entry.input.content, self._keep_seconds)
            statements.append(("put_input", values))
        if rate is not None:
            self._add_day(prediction)
            labels, scores = zip(*prediction.top, strict=True)
            values = (*primary_key(prediction), list(labels), list(scores), rate, self._retention)
            statements.append(("put_sample", values))
        return statements

    def to_delete(self, prediction: Prediction, timestamp: int) -> list[Statement]:
        """What deletes sample and input."""
        return [
            ("delete_sample", (timestamp, *primary_key(prediction))),
            ("delete_input", (timestamp, prediction.id)),
        ]

    def contain(self, prediction: Prediction) -> bool:
        return bool(self._connection.execute("get_sample", primary_key(prediction)))

    def input(self, id: UUID) -> Input | None:
        """The kept input, if any; none while the table is missing."""
        if not self._connection.complete():
            return None
        rows = self._connection.execute("get_input", (id,))
        return Input(*rows[0]) if rows else None

    def days(self, since: int, until: int) -> list[SampledDay]:
        return list(dict.fromkeys(day for day, _ in self._days(since, until)))

    def read(self, of: SampledDay, limit: int, after: tuple[float, UUID] | None) -> list[Sample]:
        """Reads up to twice an even part of each shard, and continues if that was not enough."""
        shards = max((shards for day, shards in self._days(of.day, of.day) if day == of), default=0)
        start = after or (-1.0, LOWEST_ID)
        found: list[Sample] = []
        while shards and len(found) < limit:
            part = min(limit, 2 * (limit - len(found)) // shards + 5)
            values = (of.model_name, of.model_version, of.day, list(range(shards)), *start, part)
            rows = sorted(map(_to_sample, self._connection.execute("list_samples", values)), key=_order)
            # If a shard was cut off, the rows after its last one are missing.
            last = {shard(row.id): row for row in rows}
            counts = Counter(shard(row.id) for row in rows)
            cut_off = [row for number, row in last.items() if counts[number] == part]
            if not cut_off:
                found += rows
                break
            end = min(cut_off, key=_order)
            found += [row for row in rows if _order(row) <= _order(end)]
            start = (end.u, end.id)
        return found[:limit]

    def frames(self, name: str, model: tuple[str, str], since: int, until: int) -> list[tuple[Any, ...]]:
        """The rows of "list_frames" or "list_frame_scores"."""
        return self._connection.execute(name, (*model, until, since))

    def put_frame(self, of: SampledDay, frame: DayFrame, read_at: int) -> None:
        ttl = (of.day + 1) * _DAY_SECONDS + self._retention - int(time.time()) if self._retention else 0
        if ttl > 0 or not self._retention:
            values = (of.model_name, of.model_version, of.day, frame.scores, frame.ids, ttl, read_at)
            self._connection.execute("put_frame", values)

    def delete_frame(self, prediction: Prediction, timestamp: int) -> None:
        key = (prediction.model_name, prediction.model_version, day(prediction.id))
        self._connection.execute("delete_frame", (timestamp, *key))

    def _days(self, since: int, until: int) -> list[tuple[SampledDay, int]]:
        """The days, newest first, and their shards; several times if processes have used different numbers."""
        since, until = max(since, day(LOWEST_ID)), min(until, int(time.time()) // _DAY_SECONDS + _LONGEST_YEAR)
        years = range(_year(until), _year(since) - 1, -1)
        rows = self._connection.execute_all([("list_sample_days", (year, until, since)) for year in years])
        return [(SampledDay(*day), shards) for found in rows for *day, shards in found]

    def _add_day(self, prediction: Prediction) -> None:
        """Enter the day before its first sample is written, and every hour, so that the entry outlives the samples."""
        now = int(time.time())
        of = SampledDay(day(prediction.id), prediction.model_name, prediction.model_version)
        shards, period = max(self._shards, shard(prediction.id) + 1), now // _PERIOD_SECONDS
        if (of, shards, period) in self._added:
            return
        ttl = self._retention + 2 * _PERIOD_SECONDS if self._retention else 0
        values = (_year(of.day), of.day, of.model_name, of.model_version, shards, ttl, expiration(now, ttl))
        self._connection.execute("put_sample_day", values)
        self._added = {entry for entry in self._added if entry[2] == period} | {(of, shards, period)}


def primary_key(prediction: Prediction) -> tuple[Any, ...]:
    """The primary key of a prediction's sample."""
    id = prediction.id
    return prediction.model_name, prediction.model_version, day(id), shard(id), permanent_random(id), id


def _year(day: int) -> int:
    return (_EPOCH + timedelta(days=day)).year


def _to_sample(row: Sequence[Any]) -> Sample:
    id, labels, scores, rate = row
    return Sample(id, tuple(zip(labels, scores, strict=True)), rate)


def _order(sample: Sample) -> tuple[float, bytes]:
    return sample.u, sort_key(sample.id)
