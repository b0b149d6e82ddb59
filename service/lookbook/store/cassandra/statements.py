"""The CQL statements that serve requests, and predictions as their rows. Tests: tests/unit/test_store.py."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from lookbook.prediction import Prediction, bucket, shard
from lookbook.store import KEY_SECONDS

_COLUMNS = "id, file_name, labels, scores, model_name, model_version"
_PUT = f"INSERT INTO {{ks}}.predictions (bucket, shard, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"

STATEMENTS = {
    "probe": "SELECT key FROM {ks}.idempotency_keys WHERE key = 'probe'",
    "put": f"{_PUT} USING TTL ?",
    "put_if_absent": f"{_PUT} IF NOT EXISTS USING TTL ?",
    "put_bucket": "INSERT INTO {ks}.buckets (year, bucket, shards) VALUES (?, ?, ?) USING TTL ? AND TIMESTAMP ?",
    "put_thumbnail": "INSERT INTO {ks}.thumbnails (id, picture) VALUES (?, ?) USING TTL ?",
    "claim": "INSERT INTO {ks}.idempotency_keys (key, id, digest) VALUES (?, ?, ?)"
    f" IF NOT EXISTS USING TTL {KEY_SECONDS}",
    "put_deletion": f"INSERT INTO {{ks}}.idempotency_keys (key) VALUES (?) USING TTL {KEY_SECONDS}",
    "get_deletion": "SELECT key FROM {ks}.idempotency_keys WHERE key = ?",
    "get": f"SELECT {_COLUMNS} FROM {{ks}}.predictions WHERE bucket = ? AND shard = ? AND id = ?",
    "get_id": "SELECT id FROM {ks}.predictions WHERE bucket = ? AND shard = ? AND id = ?",
    "get_with_write_time": f"SELECT WRITETIME(file_name), {_COLUMNS} FROM {{ks}}.predictions"
    " WHERE bucket = ? AND shard = ? AND id = ?",
    "get_thumbnail": "SELECT picture FROM {ks}.thumbnails WHERE id = ?",
    "delete": "DELETE FROM {ks}.predictions USING TIMESTAMP ? WHERE bucket = ? AND shard = ? AND id = ?",
    "delete_thumbnail": "DELETE FROM {ks}.thumbnails USING TIMESTAMP ? WHERE id = ?",
    "list_buckets": "SELECT bucket, shards FROM {ks}.buckets WHERE year = ? AND bucket <= ? AND bucket >= ? LIMIT ?",
    "list": f"SELECT {_COLUMNS} FROM {{ks}}.predictions WHERE bucket IN ? AND shard IN ? AND id < ? AND id >= ?"
    " PER PARTITION LIMIT ?",
    # The driver takes several times as long to read lists.
    "scan": "SELECT timeuuidAsBlob(id), file_name, toJson(labels), toJson(scores), model_name, model_version"
    " FROM {ks}.predictions WHERE bucket IN ? AND shard IN ? AND id < ? AND id >= ? PER PARTITION LIMIT ?",
}


Statement = tuple[str, Sequence[Any]]  # name and values


def statements(keyspace: str, cql_by_name: Mapping[str, str] = STATEMENTS) -> Mapping[str, str]:
    """CQL by name, for the tables in `keyspace`."""
    return {name: cql.format(ks=keyspace) for name, cql in cql_by_name.items()}


def primary_key(id: UUID) -> tuple[int, int, UUID]:
    return bucket(id), shard(id), id


def to_row(prediction: Prediction, ttl: int) -> tuple[Any, ...]:
    """Values for "put" and "put_if_absent"; `ttl` is in seconds, 0 for no limit."""
    return (
        *primary_key(prediction.id),
        prediction.file_name,
        [label for label, _ in prediction.top],
        [score for _, score in prediction.top],
        prediction.model_name,
        prediction.model_version,
        ttl,
    )


def to_prediction(row: tuple[Any, ...]) -> Prediction:
    """The prediction in a row of "get" or "list"."""
    id, file_name, labels, scores, model_name, model_version = row
    return Prediction(id, file_name, tuple(zip(labels, scores, strict=True)), model_name, model_version)


def stored_prediction(row: Sequence[Any]) -> Prediction:
    """The prediction in the row that kept "put_if_absent" from writing: it has the columns in the table's order."""
    _, _, id, file_name, labels, model_name, model_version, scores = row
    return to_prediction((id, file_name, labels, scores, model_name, model_version))
