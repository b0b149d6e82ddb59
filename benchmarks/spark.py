"""Measures what batch jobs on Spark cost: `python -m benchmarks.spark`, or `make bench-spark`.

Needs Java 17 or 21.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from uuid import UUID

from lookbook.errors import LookbookError
from lookbook.server.cpus import available_cpus
from lookbook.settings import Settings
from lookbook.spark.session import check_java

from benchmarks import spark_jobs, spark_store, table
from benchmarks.commitlog import create_tables, ring
from benchmarks.errors import BenchmarkError
from benchmarks.export import cassandra, sqlite
from benchmarks.keyspace import keyspace, unreachable
from benchmarks.machine import machine
from benchmarks.rows import dense, make_ids
from benchmarks.spark_history import COUNT, GROUPS, PARQUET, history
from benchmarks.spark_processes import isolated

_KEYSPACE = "lookbook_bench_spark"
_ROUNDS = 3
_SHARE = 5  # of the images, where fewer are enough
_FEW_PATHS = 10_000
_WRITERS, _ROWS_WRITTEN = 4, 50_000
_RATE = 20  # requests a second
_LIMITS = (100, 500, None)  # writes a second
_CASSANDRA_SHARE = 10  # of the rows: it takes long to fill
_AIMS = {COUNT: "12", GROUPS: "15", PARQUET: "35"}


@dataclass(frozen=True, slots=True)
class Options:
    """`images` to classify, `paths` in the longest list, `rows` in the history, and `seconds` of requests."""

    images: int
    paths: int
    rows: int
    seconds: int


# What was measured, what is to reach, and the figure.
Row = tuple[str, str, str]
Measure = Callable[[Options, Path], Iterator[Row]]
# Fills a store with these ids; yields its settings.
Filled = Callable[[Sequence[UUID], Path], AbstractContextManager[dict[str, str]]]


def start(_: Options, folder: Path) -> Iterator[Row]:
    cost = isolated(spark_jobs.start, folder)
    yield "CPU time to start, session and first query", "30 s", f"{cost.cpu:.0f} s, in {cost.seconds:.0f} s"


def overhead(options: Options, folder: Path) -> Iterator[Row]:
    cpus = available_cpus()
    costs = isolated(spark_jobs.overhead, folder, options.images, _ROUNDS, cpus)
    ratios = [spark.cpu / plain.cpu for plain, spark in costs]
    plain_ms = sum(plain.cpu for plain, _ in costs) / options.images * 1000
    yield (
        f"CPU time of Spark's processes over that of a plain loop in {cpus} processes ({plain_ms:.2f} ms for each "
        f"image), {options.images:,} images in {_ROUNDS} rounds",
        "1.10",
        f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
    )


def speed(options: Options, folder: Path) -> Iterator[Row]:
    count = options.images // _SHARE
    (plain, spark), (plain_2, spark_2) = (
        isolated(spark_jobs.speed, _subfolder(folder, f"{cpus}"), count, cpus) for cpus in (1, 2)
    )
    yield (
        f"speed of `local[2]` over `local[1]`, to Parquet, {count:,} images",
        "1.7",
        f"{spark_2 / spark:.2f} ({spark:.0f} and {spark_2:.0f} images/s)",
    )
    yield "the same for the plain loop", "", f"{plain_2 / plain:.2f} ({plain:.0f} and {plain_2:.0f} images/s)"


def memory(options: Options, folder: Path) -> Iterator[Row]:
    settings = replace(Settings(), sqlite_path=str(folder / "store.sqlite"))
    if unreachable():
        found = isolated(spark_jobs.memory, folder, settings, options.images // _SHARE)
    else:
        with keyspace(_KEYSPACE) as (settings, _):
            found = isolated(spark_jobs.memory, folder, settings, options.images // _SHARE)
    yield f"resident memory of a Python worker that stores in {settings.store}", "160 MB", f"{found.worker:.0f} MB"
    yield "resident memory of an executor's Java VM, heap 512 MB as in the chart", "1 GB", f"{found.executor:.0f} MB"


def driver(options: Options, folder: Path) -> Iterator[Row]:
    few, many = (
        isolated(spark_jobs.driver_memory, _subfolder(folder, f"{count}"), count)
        for count in (_FEW_PATHS, options.paths)
    )
    for name, before, after in (
        ("Java VM, heap 512 MB as in the chart", few.driver_java, many.driver_java),
        ("Python", few.driver_python, many.driver_python),
    ):
        yield (
            f"resident memory of the driver's {name}, {_FEW_PATHS:,} and {options.paths:,} paths, all rejected",
            "within 200 MB",
            f"{before:.0f} and {after:.0f} MB",
        )


def writers(_: Options, __: Path) -> Iterator[Row]:
    for mode, aim in (("batch", "10,000"), ("periodic, 10 s", "")):
        with ring(1, mode) as addresses:
            settings = Settings(store="cassandra", cassandra_contact_points=addresses)
            create_tables(settings)
            for thumbnails in (False, True):
                found = spark_store.writes(settings, _ROWS_WRITTEN, _WRITERS, thumbnails)
                kind = "predictions with thumbnails" if thumbnails else "predictions"
                yield (
                    f"{kind} that {_WRITERS} writers store in one Cassandra node per second, commit log `{mode}`",
                    aim,
                    f"{found:,.0f}",
                )


def connections(options: Options, folder: Path) -> Iterator[Row]:
    _need_cassandra()
    cpus = available_cpus()
    with keyspace(_KEYSPACE) as (settings, _):
        each, together = isolated(spark_jobs.connections, folder, settings, options.images // _SHARE, cpus)
    yield "connections of a Python worker to a ring of one Cassandra node", "1", f"{each}"
    yield f"connections of all processes, {cpus} workers", "1 for each worker", f"{together}"


def table_of_history(options: Options, folder: Path) -> Iterator[Row]:
    stores: dict[str, Filled] = {"sqlite": sqlite}
    if not unreachable():
        stores["cassandra"] = cassandra
    for name, filled in stores.items():
        target, rows = _subfolder(folder, name), options.rows
        if name == "cassandra":
            rows //= _CASSANDRA_SHARE
        with filled(make_ids(dense(rows, time.time_ns())), target) as settings:
            named = {key.removeprefix("LOOKBOOK_").lower(): value for key, value in settings.items()}
            found = isolated(history, target, named, rows)
        for query, cost in found.items():
            yield f"history in {name}, {rows:,} rows: {query}, CPU time per row", f"{_AIMS[query]} µs", f"{cost:.1f} µs"


def latency(options: Options, folder: Path) -> Iterator[Row]:
    _need_cassandra()
    cases: list[tuple[str, int | None, bool]] = [("alone", None, False)]
    for limit in _LIMITS:
        beside = f"beside a job with --writes-per-second {limit}" if limit else "beside a job without a limit"
        cases.append((beside, limit, True))
    for name, limit, job in cases:
        target = _subfolder(folder, f"{limit}-{job}")
        found = spark_store.latency(target, limit, job, _RATE, options.seconds, options.images)
        meanwhile = f" ({found.writes:.0f} rows/s)" if job else ""
        yield (
            f"p50 and p99 of predictions by a service, {_RATE} requests/s, {name}{meanwhile}",
            "",
            f"{found.p50:.0f} and {found.p99:.0f} ms",
        )


MEASURES: dict[str, Measure] = {
    "start": start,
    "overhead": overhead,
    "speed": speed,
    "memory": memory,
    "driver": driver,
    "writers": writers,
    "connections": connections,
    "history": table_of_history,
    "latency": latency,
}


def _subfolder(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    return made


def _need_cassandra() -> None:
    if reason := unreachable():
        raise BenchmarkError(reason)


def _run(only: list[str], options: Options) -> None:
    # The stores log that they are available.
    logging.disable(logging.WARNING)
    check_java()
    print(f"{machine()}\n")
    table.head(("", "to reach", "measured"), texts=1)
    for name in only:
        with tempfile.TemporaryDirectory(prefix="lookbook-bench-") as folder:
            for row in MEASURES[name](options, Path(folder)):
                table.row(row)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spark", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=MEASURES, default=list(MEASURES), help="what to measure (default: everything)"
    )
    for name, default, help in (
        ("images", 50_000, "images to classify"),
        ("paths", 5_000_000, "paths in the longest list"),
        ("rows", 1_000_000, "rows in the history"),
        ("seconds", 30, "duration of the requests to the service"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{help} (default: {default:,})")
    arguments = vars(parser.parse_args())
    try:
        _run(arguments.pop("only"), Options(**arguments))
    except (BenchmarkError, LookbookError) as error:
        print(f"spark: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
