"""Comparisons, their flips, and drift references in Cassandra. Tests: tests/unit/test_store_comparisons.py."""

import time
from collections.abc import Sequence
from uuid import UUID

from lookbook.prediction import Prediction, permanent_random
from lookbook.store import MAX_REFERENCES, Comparison, Flip, deletion_key
from lookbook.store.cassandra.buckets import LOWEST_ID
from lookbook.store.cassandra.connection import Connection
from lookbook.store.cassandra.statements import Statement, primary_key

STATEMENTS = {
    "put_comparison": "INSERT INTO {ks}.comparisons (baseline, id, candidate, report) VALUES (?, ?, ?, ?) USING TTL ?",
    "put_flip": "INSERT INTO {ks}.flips (comparison, u, id, baseline_label, candidate_label, candidate_score)"
    " VALUES (?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?",
    "put_drift_reference": "INSERT INTO {ks}.drift_references (model_name, model_version, id, annotator)"
    " VALUES (?, ?, ?, ?)",
    "get_flipped": "SELECT TTL(file_name), model_name, model_version FROM {ks}.predictions"
    " WHERE bucket = ? AND shard = ? AND id = ?",
    "get_comparisons": "SELECT id, baseline, candidate, report FROM {ks}.comparisons WHERE baseline = ? AND id IN ?",
    "list_comparisons": "SELECT id, candidate FROM {ks}.comparisons WHERE baseline = ?",
    "list_flips": "SELECT id, baseline_label, candidate_label, candidate_score FROM {ks}.flips"
    " WHERE comparison = ? AND (u, id) > (?, ?) LIMIT ?",
    "list_drift_references": "SELECT id, annotator FROM {ks}.drift_references"
    f" WHERE model_name = ? AND model_version = ? LIMIT {MAX_REFERENCES}",
    "delete_flip": "DELETE FROM {ks}.flips USING TIMESTAMP ? WHERE comparison = ? AND u = ? AND id = ?",
}

_AT_ONCE = 100  # statements


def put(connection: Connection, comparison: Comparison, flips: Sequence[Flip], ttl: int) -> None:
    """`ttl` is in seconds; a flip lives no longer than its prediction."""
    # Older than a deletion during this call, which therefore takes the flips, too.
    timestamp = time.time_ns() // 1000
    connection.execute(
        "put_comparison", (comparison.baseline, comparison.id, comparison.candidate, comparison.report, ttl)
    )
    for start in range(0, len(flips), _AT_ONCE):
        part = flips[start : start + _AT_ONCE]
        stored = connection.execute_all([("get_flipped", primary_key(flip.prediction)) for flip in part])
        # A deletion that has not seen this comparison has already left its mark.
        deleted = connection.execute_all([("get_deletion", (deletion_key(flip.prediction),)) for flip in part])
        connection.execute_all(
            [
                ("put_flip", (*_key(comparison.id, flip.prediction), *_labels(flip), min(ttl, life or ttl), timestamp))
                for flip, rows, mark in zip(part, stored, deleted, strict=True)
                for life, *model in rows
                if not mark and "/".join(model) == comparison.baseline
            ]
        )


def to_delete(connection: Connection, prediction: Prediction, timestamp: int) -> list[Statement]:
    """What deletes a prediction's flips."""
    comparisons = connection.execute("list_comparisons", (f"{prediction.model_name}/{prediction.model_version}",))
    return [("delete_flip", (timestamp, *_key(id, prediction.id))) for id, _ in comparisons]


def read(connection: Connection, baseline: str, candidate: str | None, limit: int) -> list[Comparison]:
    rows = connection.execute("list_comparisons", (baseline,))
    ids = [id for id, found in rows if candidate in (None, found)][:limit]
    return [Comparison(*row) for row in connection.execute("get_comparisons", (baseline, ids))]


def read_flips(connection: Connection, comparison: UUID, limit: int, after: tuple[float, UUID] | None) -> list[Flip]:
    rows = connection.execute("list_flips", (comparison, *(after or (-1.0, LOWEST_ID)), limit))
    return [Flip(*row) for row in rows]


def _key(comparison: UUID, prediction: UUID) -> tuple[UUID, float, UUID]:
    return comparison, permanent_random(prediction), prediction


def _labels(flip: Flip) -> tuple[str, str, float]:
    return flip.baseline_label, flip.candidate_label, flip.candidate_score
