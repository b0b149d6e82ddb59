"""Samples, their inputs, and the frames of closed days in SQLite. Tests: tests/unit/test_store_samples.py."""

import json
import sqlite3
import time
from typing import Any
from uuid import UUID

from lookbook.prediction import day, from_sort_key, permanent_random, sort_key
from lookbook.store import DayFrame, Entry, Input, Sample, SampledDay

_DAY_SECONDS = 24 * 60 * 60


def insert(connection: sqlite3.Connection, entry: Entry, input_expires: float) -> None:
    """Store what an Entry has besides the prediction and the thumbnail."""
    prediction = entry.prediction
    key = sort_key(prediction.id)
    if entry.sampling_rate is not None:
        u = permanent_random(prediction.id)
        connection.execute(
            "INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?, ?)",
            (key, prediction.model_name, prediction.model_version, day(prediction.id), u, entry.sampling_rate),
        )
    if entry.input is not None:
        connection.execute(
            "INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, ?)",
            (key, entry.input.kind, entry.input.content, input_expires),
        )


def remove_frame(connection: sqlite3.Connection, entry: Entry) -> None:
    """Remove the frame of the entry's day if the entry is in the sample, and keep out one that is being made."""
    if entry.sampling_rate is not None:
        now, model = time.time(), (entry.prediction.model_name, entry.prediction.model_version)
        connection.execute(
            "INSERT INTO frames (model_name, model_version, day, read_at, expires) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET scores = NULL, ids = NULL, read_at = excluded.read_at,"
            " expires = excluded.expires",
            (*model, day(entry.prediction.id), now, now + _DAY_SECONDS),
        )


def read_input(connection: sqlite3.Connection, id: UUID) -> Input | None:
    row = connection.execute(
        "SELECT kind, content FROM inputs WHERE key = ? AND expires > ?", (sort_key(id), time.time())
    ).fetchone()
    return Input(*row) if row else None


def read_days(connection: sqlite3.Connection, since: int, until: int) -> list[SampledDay]:
    """Takes one seek in the index for each day and version, no matter how many samples there are."""
    days: list[SampledDay] = []
    below: tuple[Any, ...] = (until + 1, "", "")
    while True:
        row = connection.execute(
            "SELECT day, model_name, model_version FROM samples"
            # With fewer columns, SQLite would read all samples of the last day.
            " WHERE (day, model_name, model_version, u, key) < (?, ?, ?, -1, x'') AND day >= ?"
            " ORDER BY day DESC, model_name DESC, model_version DESC LIMIT 1",
            (*below, since),
        ).fetchone()
        if row is None:
            return days
        days.append(SampledDay(*row))
        below = row


def read(connection: sqlite3.Connection, of: SampledDay, limit: int, after: tuple[float, UUID] | None) -> list[Sample]:
    u, id = after or (-1.0, None)
    rows = connection.execute(
        "SELECT key, labels, scores, rate FROM samples JOIN predictions USING (key)"
        " WHERE day = ? AND samples.model_name = ? AND samples.model_version = ? AND (u, key) > (?, ?)"
        " AND (expires IS NULL OR expires > ?) ORDER BY u, key LIMIT ?",
        (of.day, of.model_name, of.model_version, u, sort_key(id) if id else b"", time.time(), limit),
    )
    return [
        Sample(from_sort_key(key), tuple(zip(json.loads(labels), json.loads(scores), strict=True)), rate)
        for key, labels, scores, rate in rows
    ]


def read_frames(
    connection: sqlite3.Connection, columns: str, model: tuple[str, str], since: int, until: int
) -> list[tuple[Any, ...]]:
    """The day and then these columns of each frame."""
    return connection.execute(
        f"SELECT day, {columns} FROM frames WHERE model_name = ? AND model_version = ? AND day BETWEEN ? AND ?"
        " AND scores IS NOT NULL AND (expires IS NULL OR expires > ?)",
        (*model, since, until, time.time()),
    ).fetchall()


def insert_frame(
    connection: sqlite3.Connection, of: SampledDay, frame: DayFrame, read_at: float, retention: int
) -> None:
    """`read_at` is in seconds since 1970; `retention` in seconds, 0 for no limit."""
    expires = (of.day + 1) * _DAY_SECONDS + retention if retention else None
    connection.execute(
        "INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET scores = excluded.scores,"
        " ids = excluded.ids, read_at = excluded.read_at, expires = excluded.expires"
        " WHERE excluded.read_at > read_at",
        (of.model_name, of.model_version, of.day, frame.scores, frame.ids, read_at, expires),
    )
