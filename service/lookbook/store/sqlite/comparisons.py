"""Comparisons, their flips, and drift references in SQLite. Tests: tests/unit/test_store_comparisons.py."""

import sqlite3
import time
from collections.abc import Sequence
from uuid import UUID

from lookbook.prediction import from_sort_key, permanent_random, sort_key
from lookbook.store import MAX_REFERENCES, Comparison, Flip


def insert(connection: sqlite3.Connection, comparison: Comparison, flips: Sequence[Flip], expires: float) -> None:
    key = sort_key(comparison.id)
    connection.execute(
        "INSERT OR REPLACE INTO comparisons VALUES (?, ?, ?, ?, ?)",
        (key, comparison.baseline, comparison.candidate, comparison.report, expires),
    )
    # The prediction of a flip may have been deleted during the replay.
    connection.executemany(
        "INSERT OR REPLACE INTO flips SELECT ?, ?, key, ?, ?, ? FROM predictions"
        " WHERE key = ? AND model_name || '/' || model_version = ?",
        (
            (
                key,
                permanent_random(flip.prediction),
                flip.baseline_label,
                flip.candidate_label,
                flip.candidate_score,
                sort_key(flip.prediction),
                comparison.baseline,
            )
            for flip in flips
        ),
    )


def read(connection: sqlite3.Connection, baseline: str, candidate: str | None, limit: int) -> list[Comparison]:
    rows = connection.execute(
        "SELECT key, baseline, candidate, report FROM comparisons WHERE baseline = ? AND ? IN (candidate, '')"
        " AND expires > ? ORDER BY key DESC LIMIT ?",
        (baseline, candidate or "", time.time(), limit),
    )
    return [Comparison(from_sort_key(key), *values) for key, *values in rows]


def read_flips(
    connection: sqlite3.Connection, comparison: UUID, limit: int, after: tuple[float, UUID] | None
) -> list[Flip]:
    u, id = after or (-1.0, None)
    rows = connection.execute(
        "SELECT flips.key, baseline_label, candidate_label, candidate_score FROM flips"
        " JOIN comparisons ON comparisons.key = comparison"
        " WHERE comparison = ? AND (u, flips.key) > (?, ?) AND expires > ? ORDER BY u, flips.key LIMIT ?",
        (sort_key(comparison), u, sort_key(id) if id else b"", time.time(), limit),
    )
    return [Flip(from_sort_key(key), *values) for key, *values in rows]


def insert_reference(connection: sqlite3.Connection, model: tuple[str, str], id: UUID, annotator: str) -> None:
    connection.execute("INSERT OR REPLACE INTO drift_references VALUES (?, ?, ?, ?)", (*model, sort_key(id), annotator))


def read_references(connection: sqlite3.Connection, model: tuple[str, str]) -> list[tuple[UUID, str]]:
    rows = connection.execute(
        "SELECT key, annotator FROM drift_references WHERE model_name = ? AND model_version = ?"
        " ORDER BY key DESC LIMIT ?",
        (*model, MAX_REFERENCES),
    )
    return [(from_sort_key(key), annotator) for key, annotator in rows]
