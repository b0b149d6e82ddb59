"""Measures whether calls are flat: `python -m benchmarks.pages`, or `make pages`.

A call should cost the same, however many predictions are stored.
"""

import argparse
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from uuid import UUID

from lookbook.prediction import day, permanent_random
from lookbook.store import MAX_ROWS, Query, SampledDay, Store
from lookbook.store.cassandra import CassandraStore
from lookbook.store.sqlite import SqliteStore

from benchmarks import table
from benchmarks.errors import BenchmarkError
from benchmarks.keyspace import keyspace, unreachable
from benchmarks.machine import machine
from benchmarks.rows import (
    JUDGED_EACH,
    MODEL,
    SPACINGS,
    fill_cassandra,
    fill_sqlite,
    make_ids,
    sample_cassandra,
    sample_sqlite,
)

_FEW = 1_000
_LIMIT = 100
_CALLS = 31
_WARM_UP_CALLS = 20
_REACH_SECONDS = 30

_SAMPLED_SPACING = "1,000 per second"
_SAMPLES = 1_001  # read of a day
_DAYS = 28

_NOTE = f"A filtered page reads up to {MAX_ROWS:,} rows. The small store has only {_FEW:,}, so the ratio is above 1."

Filled = Callable[[Sequence[UUID], bool], AbstractContextManager[Store]]
Call = Callable[[Store], Sequence[UUID]]
Task = tuple[Call, Sequence[UUID]]


@contextmanager
def filled_sqlite(ids: Sequence[UUID], sampled: bool) -> Iterator[Store]:
    with tempfile.TemporaryDirectory(prefix="lookbook-bench-") as folder:
        path = f"{folder}/lookbook.sqlite"
        with closing(SqliteStore(path, _ignore)) as store:
            fill_sqlite(path, ids)
            if sampled:
                sample_sqlite(path, ids)
            yield store


@contextmanager
def filled_cassandra(ids: Sequence[UUID], sampled: bool) -> Iterator[Store]:
    with keyspace(f"lookbook_bench_{len(ids)}") as (settings, session):
        fill_cassandra(session, settings.cassandra_keyspace, ids)
        if sampled:
            sample_cassandra(session, settings.cassandra_keyspace, ids)
        with closing(CassandraStore(settings, _ignore)) as store:
            _await(store)
            yield store


def tasks(ids: Sequence[UUID]) -> dict[str, Task]:
    """Calls and the ids that they must find, by kind of page."""
    newest = ids[::-1]
    # Half of this page is older than the gap in the middle.
    middle = len(newest) // 2 - _LIMIT // 2
    return {
        "newest": (_page(Query(_LIMIT)), newest[:_LIMIT]),
        "middle": (_page(Query(_LIMIT, after=newest[middle - 1])), newest[middle : middle + _LIMIT]),
        "filtered": (_page(Query(_LIMIT, label="no such label")), []),
    }


def sample_tasks(ids: Sequence[UUID]) -> dict[str, Task]:
    """The same for a store whose predictions are all in the sample."""
    judged = set(ids[::JUDGED_EACH])
    today = SampledDay(day(ids[-1]), *MODEL)
    members = sorted((id for id in ids if day(id) == today.day), key=permanent_random)[:_SAMPLES]
    below = permanent_random(members[-1])

    def days(store: Store) -> list[UUID]:
        # Without a frame, as before the first evaluation: it must be noticed that there is none.
        store.frames(*MODEL, today.day - _DAYS, today.day)
        return [ids[-1] for found in store.sampled_days(today.day, today.day) if found == today]

    return {
        "no ground truth": (
            _page(Query(_LIMIT, ground_truth="none")),
            [id for id in ids[: -MAX_ROWS - 1 : -1] if id not in judged][:_LIMIT],
        ),
        "wrong, and of no label": (_page(Query(_LIMIT, ground_truth="wrong", label="no such label")), []),
        "sampled days": (days, [ids[-1]]),
        "samples of a day": (lambda store: [row.id for row in store.samples(today, _SAMPLES)], members),
        "judgments of samples": (
            lambda store: sorted(row.prediction for row in store.sampled_judgments(today, below)),
            sorted(id for id in members[:-1] if id in judged),
        ),
        "judgments of one": (lambda store: [row.prediction for row in store.judgments(ids[0])], [ids[0]]),
    }


def _page(query: Query) -> Call:
    return lambda store: [item.id for item in store.page(query).items]


def print_pages(name: str, filled: Filled, spacing: str, rows: int) -> None:
    now = time.time_ns()
    few, many = (make_ids(SPACINGS[spacing](count, now)) for count in (_FEW, rows))
    sampled = spacing == _SAMPLED_SPACING
    few_tasks, many_tasks = ({**tasks(ids), **(sample_tasks(ids) if sampled else {})} for ids in (few, many))
    with filled(few, sampled) as small, filled(many, sampled) as large:
        for page, task in few_tasks.items():
            before, after = _medians((small, task), (large, many_tasks[page]))
            cells = (f"{before:.2f}", f"{len(many):,}", f"{after:.2f}", f"{after / before:.2f}")
            table.row((name, spacing, page, *cells))


def _medians(*pairs: tuple[Store, Task]) -> list[float]:
    """Milliseconds for each store; the stores take turns, so that other load on the machine affects all of them."""
    times: list[list[float]] = [[] for _ in pairs]
    for _ in range(_WARM_UP_CALLS + _CALLS):
        for (store, task), own in zip(pairs, times, strict=True):
            own.append(_ms(store, *task))
    return [statistics.median(own[_WARM_UP_CALLS:]) for own in times]


def _ms(store: Store, call: Call, wanted: Sequence[UUID]) -> float:
    began = time.perf_counter()
    found = call(store)
    ms = (time.perf_counter() - began) * 1000
    if list(found) != list(wanted):
        raise BenchmarkError("a call does not find the expected rows")
    return ms


def _await(store: Store) -> None:
    """Wait until a CassandraStore has connected in the background."""
    until = time.monotonic() + _REACH_SECONDS
    while not store.status().reached:
        if time.monotonic() > until:
            raise BenchmarkError(f"the store is unavailable: {store.status().failure}")
        time.sleep(0.05)


def _ignore(_: float) -> None:
    """Drop reports of whether the store is available."""


def _run(rows: int, only: str) -> None:
    if rows <= _FEW:
        raise BenchmarkError(f"--rows must be above {_FEW:,}")
    # The stores log that they are available.
    logging.disable(logging.WARNING)
    print(f"{machine()}\n")
    stores: dict[str, Filled] = {"sqlite": filled_sqlite}
    if reason := unreachable():
        print(f"without cassandra: {reason}\n")
    else:
        stores["cassandra"] = filled_cassandra
    table.head(
        ("store", "rows over time", "call", f"ms with {_FEW:,} rows", "rows", "ms with all rows", "ratio"), texts=3
    )
    for name, filled in stores.items():
        for spacing in filter(lambda spacing: spacing.startswith(only), SPACINGS):
            print_pages(name, filled, spacing, rows)
    print(f"\n{_NOTE}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows in the large stores (default: 1,000,000)")
    parser.add_argument("--only", default="", help="only the spacings that start with this text, such as '1,000'")
    arguments = parser.parse_args()
    try:
        _run(arguments.rows, arguments.only)
    except BenchmarkError as error:
        print(f"pages: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
