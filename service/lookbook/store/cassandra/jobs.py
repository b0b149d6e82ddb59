"""Batch jobs in Cassandra. Tests: tests/unit/test_store_jobs.py."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from lookbook.job import Job
from lookbook.store.cassandra.connection import Connection
from lookbook.store.cassandra.statements import Statement

_COLUMNS = "name, started, bundle, images"

STATEMENTS = {
    # All jobs are in one partition: there are few.
    "start_job": f"INSERT INTO {{ks}}.jobs (shelf, {_COLUMNS}) VALUES (0, ?, ?, ?, ?) IF NOT EXISTS",
    "get_job": f"SELECT {_COLUMNS} FROM {{ks}}.jobs WHERE shelf = 0 AND name = ?",
    "list_jobs": f"SELECT {_COLUMNS} FROM {{ks}}.jobs WHERE shelf = 0",
}

_PUT = "job_put"
_TIMED = ("put", "put_thumbnail", "put_sample", "put_input")


def timed(statements: Mapping[str, str]) -> dict[str, str]:
    """The statements that jobs use, with one more value: the time of the write."""
    return {f"job_{name}": f"{statements[name]} AND TIMESTAMP ?" for name in _TIMED if name in statements}


def as_of_start(job: Job, statement: Statement) -> Statement:
    """The statement as if at the job's start: a deletion is later and wins, and the TTL is what remains of it."""
    name, values = statement
    if name not in _TIMED:
        return statement
    *columns, ttl = values
    age = int(time.time() - job.started_at.timestamp())
    return f"job_{name}", (*columns, max(1, ttl - age) if ttl else 0, job.started_us)


def put(connection: Connection, statements: Sequence[Statement]) -> None:
    """Execute the statements; predictions of one partition take a single write. Raises StoreUnavailable."""
    partitions: defaultdict[tuple[Any, ...], list[Sequence[Any]]] = defaultdict(list)
    calls = []
    for name, values in statements:
        if name == _PUT:
            partitions[tuple(values[:2])].append(values)
        else:
            calls.append(connection.start(name, values))
    calls += [connection.start_rows(_PUT, rows) for rows in partitions.values()]
    for call in calls:
        connection.finish(call)


def start(connection: Connection, job: Job) -> Job:
    values = (job.name, job.started_us, job.bundle, job.images)
    ((applied, *_),) = connection.execute("start_job", values)
    return job if applied else Job.of(*connection.execute("get_job", (job.name,))[0])


def read(connection: Connection) -> list[Job]:
    """All jobs, newest first."""
    rows = connection.execute("list_jobs", ())
    return sorted((Job.of(*row) for row in rows), key=lambda job: job.started_at, reverse=True)
