"""Rows with times in the past, and fast ways to fill a store with them."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TypeVar
from uuid import UUID

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Session
from cassandra.concurrent import execute_concurrent
from cassandra.query import BatchStatement, BatchType
from lookbook.prediction import (
    FIRST_YEAR,
    bucket,
    created_at,
    day,
    id_maker,
    permanent_random,
    shard,
    sort_key,
)

_HOUR = 3600 * 10**9
_GAP = 180 * 24 * _HOUR
_MILLISECOND = 10**6

_LABELS = ("Bag", "Sandal", "Sneaker", "Shirt", "Coat", "Dress", "Hat")
MODEL = ("lookbook-clothes", "2.2.0")

JUDGED_EACH = 10

_BATCH = 200
_BATCHES_AT_ONCE = 8
_LOAD_SECONDS = 60

_T = TypeVar("_T")


def hourly(count: int, now: int) -> Sequence[int]:
    """One row per hour up to `now`, in nanoseconds since 1970, but none before FIRST_YEAR."""
    first = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    return range(now, first, -_HOUR)[:count][::-1]


def dense(count: int, now: int) -> Sequence[int]:
    """A thousand rows per second."""
    return range(now - count * _MILLISECOND, now, _MILLISECOND)


def with_gap(count: int, now: int) -> Sequence[int]:
    """Two series of a thousand rows per second, with a gap of half a year in between."""
    return [*dense(count // 2, now - _GAP), *dense(count - count // 2, now)]


SPACINGS: dict[str, Callable[[int, int], Sequence[int]]] = {
    "one per hour": hourly,
    "1,000 per second": dense,
    "two series of 1,000 per second, 180 days apart": with_gap,
}


def make_ids(times: Sequence[int]) -> list[UUID]:
    """An id for each time, in the same order."""
    make = id_maker(clock=iter(times).__next__)
    return [make() for _ in times]


def _rows(ids: Sequence[UUID]) -> Iterator[tuple[UUID, str, list[str], list[float]]]:
    """Id, file name, labels, and scores, which differ from row to row."""
    for id in ids:
        number = id.time // 10_000
        place = number % len(_LABELS)
        score = 0.5 + number * 7_919 % 500_000 / 1e6
        scores = [score, round((1 - score) * 0.7, 6), round((1 - score) * 0.2, 6)]
        labels = [_LABELS[place], _LABELS[place - 1], _LABELS[place - 2 - number % 3]]
        yield id, f"IMG_{number % 1_000_000:06}.jpg", labels, scores


def sample_sqlite(path: str, ids: Sequence[UUID]) -> None:
    """Put all predictions into the sample, and judge every JUDGED_EACH-th."""
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "INSERT INTO samples (key, model_name, model_version, day, u, rate) VALUES (?, ?, ?, ?, ?, 1)",
            ((sort_key(id), *MODEL, day(id), permanent_random(id)) for id in ids),
        )
        connection.executemany(
            "INSERT INTO judgments (key, judgment, annotator, label) VALUES (?, ?, '', 'Bag')",
            ((sort_key(id), sort_key(judgment)) for id, judgment in _judgments(ids)),
        )
    connection.close()


def sample_cassandra(session: Session, keyspace: str, ids: Sequence[UUID]) -> None:
    """Put all predictions into the sample, and judge every JUDGED_EACH-th."""
    _execute(session, _sample_batches(session, keyspace, ids))


def _sample_batches(session: Session, keyspace: str, ids: Sequence[UUID]) -> Iterator[BatchStatement]:
    put_day, put_sample, put_judgment, put_sampled = (
        session.prepare(
            f"INSERT INTO {keyspace}.{table} ({columns}) VALUES ({', '.join('?' * (columns.count(',') + 1))})"
        )
        for table, columns in (
            ("sample_days", "year, day, model_name, model_version, shards"),
            ("samples", "model_name, model_version, day, shard, id, u, labels, scores, rate"),
            ("judgments", "bucket, shard, id, judgment, annotator, label"),
            ("sampled_judgments", "model_name, model_version, day, u, id, judgment, annotator, label"),
        )
    )
    for number, group in groupby(ids, day):
        members = list(group)
        yield _batch(put_day, [(created_at(members[0]).year, number, *MODEL, 1)])
        for part in _parts(members):
            values = [(id, permanent_random(id), labels, scores, 1.0) for id, _, labels, scores in _rows(part)]
            yield _batch(put_sample, [(*MODEL, number, 0, *row) for row in values])
        judgments = [(id, judgment, "", "Bag") for id, judgment in _judgments(members)]
        for judged in _parts(judgments):
            yield _batch(put_sampled, [(*MODEL, number, permanent_random(row[0]), *row) for row in judged])
        for place, rows in groupby(judgments, lambda row: bucket(row[0])):
            for judged in _parts(list(rows)):
                yield _batch(put_judgment, [(place, 0, *row) for row in judged])


def _judgments(ids: Sequence[UUID]) -> Iterator[tuple[UUID, UUID]]:
    """Ids of predictions, and of their judgments."""
    make = id_maker()
    return ((id, make()) for id in ids[::JUDGED_EACH])


def _parts(rows: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))


def fill_sqlite(path: str, ids: Sequence[UUID]) -> None:
    """Insert rows into the tables that SqliteStore has created."""
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "INSERT INTO predictions (key, file_name, labels, scores, model_name, model_version)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                (sort_key(id), name, json.dumps(labels), json.dumps(scores), *MODEL)
                for id, name, labels, scores in _rows(ids)
            ),
        )
    connection.close()


def fill_cassandra(session: Session, keyspace: str, ids: Sequence[UUID]) -> None:
    """Insert rows, and their buckets, into the tables that apply_schema() has created."""
    _execute(session, _batches(session, keyspace, ids))


def _execute(session: Session, batches: Iterator[BatchStatement]) -> None:
    profile = session.execution_profile_clone_update(EXEC_PROFILE_DEFAULT, request_timeout=_LOAD_SECONDS)
    execute_concurrent(
        session, ((batch, None) for batch in batches), concurrency=_BATCHES_AT_ONCE, execution_profile=profile
    )


def _batches(session: Session, keyspace: str, ids: Sequence[UUID]) -> Iterator[BatchStatement]:
    put = session.prepare(
        f"INSERT INTO {keyspace}.predictions"
        " (bucket, shard, id, file_name, labels, scores, model_name, model_version) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    )
    put_bucket = session.prepare(f"INSERT INTO {keyspace}.buckets (year, bucket, shards) VALUES (?, ?, 1)")
    for number, group in groupby(ids, bucket):
        members = list(group)
        yield _batch(put_bucket, [(created_at(members[0]).year, number)])
        for part in _parts(members):
            yield _batch(put, [(number, shard(row[0]), *row, *MODEL) for row in _rows(part)])


def _batch(statement: object, rows: list[tuple[object, ...]]) -> BatchStatement:
    # An unlogged batch of one partition is a single write, and exempt from Cassandra's limit on batch sizes.
    batch = BatchStatement(BatchType.UNLOGGED)
    batch.add_all([statement] * len(rows), rows)
    return batch
