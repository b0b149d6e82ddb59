"""Measures what an export costs: `python -m benchmarks.export`, or `make exports`."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from lookbook.store.sqlite import SqliteStore

from benchmarks import table
from benchmarks.errors import BenchmarkError
from benchmarks.keyspace import keyspace, unreachable
from benchmarks.machine import machine
from benchmarks.rows import dense, fill_cassandra, fill_sqlite, make_ids

_CASSANDRA_SHARE = 10  # it takes long to fill


@contextmanager
def sqlite(ids: Sequence[UUID], folder: Path) -> Iterator[dict[str, str]]:
    path = str(folder / "lookbook.sqlite")
    SqliteStore(path, _ignore).close()
    fill_sqlite(path, ids)
    yield {"LOOKBOOK_SQLITE_PATH": path}


@contextmanager
def cassandra(ids: Sequence[UUID], _: Path) -> Iterator[dict[str, str]]:
    with keyspace(f"lookbook_bench_{len(ids)}") as (settings, session):
        fill_cassandra(session, settings.cassandra_keyspace, ids)
        yield {"LOOKBOOK_STORE": "cassandra", "LOOKBOOK_CASSANDRA_KEYSPACE": settings.cassandra_keyspace}


def print_cost(name: str, rows: int) -> None:
    ids = make_ids(dense(rows, time.time_ns()))
    filled = {"sqlite": sqlite, "cassandra": cassandra}[name]
    with tempfile.TemporaryDirectory(prefix="lookbook-bench-") as folder, filled(ids, Path(folder)) as settings:
        file = Path(folder) / "predictions.parquet"
        cpu, seconds, memory = _run(["export", str(file)], settings)
        cells = (f"{rows:,}", f"{cpu / rows * 1e6:.1f}", f"{rows / seconds:,.0f}", f"{memory / 1e6:.0f}")
        table.row((name, *cells, f"{file.stat().st_size / rows:.0f}"))


def _run(arguments: Sequence[str], settings: dict[str, str]) -> tuple[float, float, int]:
    """CPU time and duration in seconds of a `lookbook` command, and its largest resident memory in bytes."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "lookbook", *arguments]
    process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchmarkError(f"lookbook {arguments[0]} ended with exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - began, usage.ru_maxrss * 1024


def _ignore(_: float) -> None:
    """Drop reports of whether the store is available."""


def _measure(rows: int) -> None:
    print(f"{machine()}\n")
    stores = {"sqlite": rows}
    if reason := unreachable():
        print(f"without cassandra: {reason}\n")
    else:
        stores["cassandra"] = rows // _CASSANDRA_SHARE
    table.head(("store", "rows", "CPU µs per row", "rows/s", "memory, MB", "bytes per row"), texts=1)
    for name, count in stores.items():
        print_cost(name, count)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export", description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="rows in SQLite; a tenth in Cassandra (default: 1,000,000)"
    )
    try:
        _measure(parser.parse_args().rows)
    except BenchmarkError as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
