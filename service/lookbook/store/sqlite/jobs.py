"""Batch jobs in SQLite. Tests: tests/unit/test_store.py."""

import sqlite3

from lookbook.job import Job

_COLUMNS = "name, started, bundle, images"


def start(connection: sqlite3.Connection, job: Job) -> Job:
    connection.execute(
        f"INSERT INTO jobs ({_COLUMNS}, tag) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (job.name, job.started_us, job.bundle, job.images, job.tag),
    )
    return Job.of(*connection.execute(f"SELECT {_COLUMNS} FROM jobs WHERE name = ?", (job.name,)).fetchone())


def read(connection: sqlite3.Connection, tag: int | None = None) -> list[Job]:
    """The jobs with a tag, or all, newest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM jobs WHERE :tag IS NULL OR tag = :tag ORDER BY started DESC", {"tag": tag}
    )
    return [Job.of(*row) for row in rows]
