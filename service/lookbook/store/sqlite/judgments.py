"""Judgments and review claims in SQLite. Tests: tests/unit/test_store_judgments.py."""

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from lookbook.errors import NotFound, TooManyJudgments
from lookbook.judgment import GroundTruth, Judgment, settle
from lookbook.prediction import Prediction, from_sort_key, sort_key
from lookbook.store import MAX_JUDGMENTS, SampledDay

_COLUMNS = "judgments.key, judgment, annotator, label, withdraws"
_JOINED = f"SELECT {_COLUMNS} FROM judgments JOIN predictions USING (key)"
_NOT_EXPIRED = "(expires IS NULL OR expires > :now)"


def insert(connection: sqlite3.Connection, prediction: UUID, judgment: Judgment) -> None:
    """Raises NotFound and TooManyJudgments."""
    key = sort_key(prediction)
    exists, count = connection.execute(
        f"SELECT EXISTS (SELECT 1 FROM predictions WHERE key = :key AND {_NOT_EXPIRED}),"
        " (SELECT count(*) FROM judgments WHERE key = :key AND withdraws IS NULL)",
        {"key": key, "now": time.time()},
    ).fetchone()
    if not exists:
        raise NotFound("there is no prediction with this ID; it may have been deleted or have expired")
    if judgment.withdraws is None and count >= MAX_JUDGMENTS:
        raise TooManyJudgments(f"the prediction has {MAX_JUDGMENTS} judgments, the maximum")
    connection.execute(
        "INSERT INTO judgments VALUES (?, ?, ?, ?, ?)",
        (
            key,
            sort_key(judgment.id),
            judgment.annotator,
            judgment.label,
            sort_key(judgment.withdraws) if judgment.withdraws else None,
        ),
    )


def read(connection: sqlite3.Connection, id: UUID) -> tuple[Judgment, ...]:
    """The judgments of a prediction, newest first."""
    rows = connection.execute(
        f"{_JOINED} WHERE judgments.key = :key AND {_NOT_EXPIRED} ORDER BY judgment DESC",
        {"key": sort_key(id), "now": time.time()},
    )
    return tuple(map(_judgment, rows))


def read_sampled(connection: sqlite3.Connection, of: SampledDay, below: float) -> list[Judgment]:
    # CROSS JOIN keeps this order: few samples are judged.
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM samples CROSS JOIN judgments USING (key) CROSS JOIN predictions USING (key)"
        " WHERE day = :day AND samples.model_name = :name AND samples.model_version = :version AND u < :below"
        f" AND {_NOT_EXPIRED}",
        {
            "day": of.day,
            "name": of.model_name,
            "version": of.model_version,
            "below": below,
            "now": time.time(),
        },
    )
    return [_judgment(row) for row in rows]


def read_truths(connection: sqlite3.Connection, rows: Sequence[Prediction]) -> Mapping[UUID, GroundTruth]:
    """The ground truths of predictions that are sorted newest first."""
    if not rows:
        return {}
    # Their judgments are adjacent in the table, except for those of rows that have expired.
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM judgments WHERE key BETWEEN ? AND ? ORDER BY key",
        (sort_key(rows[-1].id), sort_key(rows[0].id)),
    )
    return _settled(map(_judgment, found))


def read_truths_of(connection: sqlite3.Connection, ids: Sequence[UUID]) -> Mapping[UUID, GroundTruth]:
    marks = ", ".join("?" * len(ids))
    found = connection.execute(
        f"{_JOINED} WHERE (expires IS NULL OR expires > ?) AND judgments.key IN ({marks}) ORDER BY judgments.key",
        (time.time(), *map(sort_key, ids)),
    )
    return _settled(map(_judgment, found))


def read_between(connection: sqlite3.Connection, lowest: bytes, highest: bytes) -> list[Judgment]:
    """All judgments of predictions with these keys, inclusive."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM judgments WHERE key BETWEEN ? AND ?", (lowest, highest))
    return [_judgment(row) for row in found]


def claim_review(connection: sqlite3.Connection, id: UUID, owner: str, seconds: int) -> bool:
    now = time.time()
    connection.execute(
        "INSERT INTO review_claims VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET owner = excluded.owner,"
        " expires = excluded.expires WHERE owner = excluded.owner OR expires <= ?",
        (sort_key(id), owner, now + seconds, now),
    )
    (holder,) = connection.execute("SELECT owner FROM review_claims WHERE key = ?", (sort_key(id),)).fetchone()
    return bool(holder == owner)


def _settled(judgments: Iterable[Judgment]) -> Mapping[UUID, GroundTruth]:
    by_prediction = groupby(judgments, key=lambda judgment: judgment.prediction)
    truths = ((id, settle(group)) for id, group in by_prediction)
    return {id: truth for id, truth in truths if truth}


def _judgment(row: Sequence[Any]) -> Judgment:
    key, judgment, annotator, label, withdraws = row
    return Judgment(
        from_sort_key(judgment),
        from_sort_key(key),
        annotator,
        label,
        from_sort_key(withdraws) if withdraws else None,
    )
