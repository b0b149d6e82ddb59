"""Judgments and review claims in Cassandra. Tests: tests/unit/test_store_judgments.py."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any
from uuid import UUID

from lookbook.errors import NotFound, TooManyJudgments
from lookbook.judgment import GroundTruth, Judgment, settle
from lookbook.prediction import Prediction, bucket, day, permanent_random, shard, sort_key
from lookbook.store import MAX_JUDGMENTS, SampledDay
from lookbook.store.cassandra import samples
from lookbook.store.cassandra.connection import Connection
from lookbook.store.cassandra.statements import Statement, primary_key

_COLUMNS = "judgment, id, annotator, label, withdraws"
_PARTITION = "model_name = ? AND model_version = ? AND day = ?"

STATEMENTS = {
    "put_judgment": f"INSERT INTO {{ks}}.judgments (bucket, shard, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " USING TTL ?",
    "put_sampled_judgment": f"INSERT INTO {{ks}}.sampled_judgments (model_name, model_version, day, u, {_COLUMNS})"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?",
    "get_time_to_live": "SELECT TTL(file_name) FROM {ks}.predictions WHERE bucket = ? AND shard = ? AND id = ?",
    "get_judgments": f"SELECT {_COLUMNS} FROM {{ks}}.judgments WHERE bucket = ? AND shard = ? AND id = ?",
    "list_judgments": f"SELECT {_COLUMNS} FROM {{ks}}.judgments"
    " WHERE bucket IN ? AND shard IN ? AND id <= ? AND id >= ?",
    "list_sampled_judgments": f"SELECT {_COLUMNS} FROM {{ks}}.sampled_judgments WHERE {_PARTITION} AND u < ?",
    "delete_judgments": "DELETE FROM {ks}.judgments USING TIMESTAMP ? WHERE bucket = ? AND shard = ? AND id = ?",
    "delete_sampled_judgments": f"DELETE FROM {{ks}}.sampled_judgments USING TIMESTAMP ? WHERE {_PARTITION}"
    " AND u = ? AND id = ?",
    # An INSERT would leave a row without an owner behind when a shorter claim by the same owner has expired.
    "claim_review": "UPDATE {ks}.review_claims USING TTL ? SET owner = ? WHERE id = ? IF owner = ?",
}

_MAX_WIDTH = 32  # partitions read by one statement, unless one bucket has more


def put(connection: Connection, prediction: Prediction, judgment: Judgment) -> None:
    """Raises NotFound and TooManyJudgments."""
    lives, judgments, sample = connection.execute_all(
        [
            ("get_time_to_live", primary_key(prediction.id)),
            ("get_judgments", primary_key(prediction.id)),
            ("get_sample", samples.primary_key(prediction)),
        ]
    )
    if not lives:
        raise NotFound("there is no prediction with this ID; it may have been deleted or have expired")
    count = sum(withdraws is None for *_, withdraws in judgments)
    if judgment.withdraws is None and count >= MAX_JUDGMENTS:
        raise TooManyJudgments(f"the prediction has {MAX_JUDGMENTS} judgments, the maximum")
    values = (judgment.id, prediction.id, judgment.annotator, judgment.label, judgment.withdraws, lives[0][0] or 0)
    if sample:
        # First, because if only this write succeeds, the judgment is not known, and a repeated request does both.
        connection.execute("put_sampled_judgment", (*_day_key(prediction), permanent_random(prediction.id), *values))
    connection.execute("put_judgment", (bucket(prediction.id), shard(prediction.id), *values))


def to_delete(prediction: Prediction, timestamp: int) -> list[Statement]:
    """What deletes all judgments of a prediction."""
    id = prediction.id
    return [
        ("delete_judgments", (timestamp, *primary_key(id))),
        ("delete_sampled_judgments", (timestamp, *_day_key(prediction), permanent_random(id), id)),
    ]


def read(connection: Connection, id: UUID) -> tuple[Judgment, ...]:
    """The judgments of a prediction, newest first; none while the table is missing."""
    if not connection.complete():
        return ()
    return tuple(Judgment(*row) for row in connection.execute("get_judgments", primary_key(id)))


def read_sampled(connection: Connection, of: SampledDay, below: float) -> list[Judgment]:
    rows = connection.execute("list_sampled_judgments", (of.model_name, of.model_version, of.day, below))
    return [Judgment(*row) for row in rows]


def read_truths(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, GroundTruth]:
    """The ground truths of predictions that are sorted newest first, and of some between them."""
    return _read_truths(connection, _ranges(ids))


def read_truths_of(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, GroundTruth]:
    """The ground truths of any predictions."""
    # Shard by shard, because IDs that are far apart share few buckets: all shards of all buckets would be many.
    shards: dict[int, list[UUID]] = defaultdict(list)
    for id in sorted(ids, key=sort_key, reverse=True):
        shards[shard(id)].append(id)
    truths = _read_truths(connection, chain.from_iterable(map(_ranges, shards.values())))
    return {id: truths[id] for id in ids if id in truths}


def _read_truths(connection: Connection, ranges: Iterable[Sequence[Any]]) -> Mapping[UUID, GroundTruth]:
    """The ground truths in the ranges, values for "list_judgments"; none while the table is missing."""
    if not connection.complete():
        return {}
    found: dict[UUID, list[Judgment]] = defaultdict(list)
    for part in connection.execute_all([("list_judgments", values) for values in ranges]):
        for row in part:
            judgment = Judgment(*row)
            found[judgment.prediction].append(judgment)
    truths = ((id, settle(judgments)) for id, judgments in found.items())
    return {id: truth for id, truth in truths if truth}


def read_between(
    connection: Connection, buckets: list[int], shards: list[int], newest: UUID, oldest: UUID
) -> list[Judgment]:
    """All judgments of predictions in these partitions, ids inclusive; none while the table is missing."""
    if not connection.complete():
        return []
    return [Judgment(*row) for row in connection.execute("list_judgments", (buckets, shards, newest, oldest))]


def claim_review(connection: Connection, id: UUID, owner: str, seconds: int) -> bool:
    return any(
        connection.execute("claim_review", (seconds, owner, id, holder))[0][0]  # whether it was applied
        for holder in (None, owner)
    )


def _ranges(ids: Sequence[UUID]) -> Iterator[tuple[Any, ...]]:
    """Values for "list_judgments": the partitions of ids, sorted newest first, with the newest and the oldest id."""
    part: list[UUID] = []
    buckets: set[int] = set()
    shards: set[int] = set()
    for id in ids:
        if part and len(buckets | {bucket(id)}) * len(shards | {shard(id)}) > _MAX_WIDTH:
            yield list(buckets), list(shards), part[0], part[-1]
            part, buckets, shards = [], set(), set()
        part.append(id)
        buckets.add(bucket(id))
        shards.add(shard(id))
    if part:
        yield list(buckets), list(shards), part[0], part[-1]


def _day_key(prediction: Prediction) -> tuple[str, str, int]:
    return prediction.model_name, prediction.model_version, day(prediction.id)
