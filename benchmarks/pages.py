"""Measures whether listing is flat: `python -m benchmarks.pages`, or `make pages`.

A page should cost the same, however many predictions are stored.
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

from lookbook.store import MAX_ROWS, Query, Store
from lookbook.store.cassandra import CassandraStore
from lookbook.store.sqlite import SqliteStore

from benchmarks import table
from benchmarks.errors import BenchmarkError
from benchmarks.keyspace import keyspace, unreachable
from benchmarks.machine import machine
from benchmarks.rows import SPACINGS, fill_cassandra, fill_sqlite, make_ids

_FEW = 1_000
_LIMIT = 100
_CALLS = 31
_WARM_UP_CALLS = 20
_REACH_SECONDS = 30

_NOTE = f"A filtered page reads up to {MAX_ROWS:,} rows. The small store has only {_FEW:,}, so the ratio is above 1."

Filled = Callable[[Sequence[UUID]], AbstractContextManager[Store]]
Task = tuple[Query, Sequence[UUID]]


@contextmanager
def filled_sqlite(ids: Sequence[UUID]) -> Iterator[Store]:
    with tempfile.TemporaryDirectory(prefix="lookbook-bench-") as folder:
        path = f"{folder}/lookbook.sqlite"
        with closing(SqliteStore(path, _ignore)) as store:
            fill_sqlite(path, ids)
            yield store


@contextmanager
def filled_cassandra(ids: Sequence[UUID]) -> Iterator[Store]:
    with keyspace(f"lookbook_bench_{len(ids)}") as (settings, session):
        fill_cassandra(session, settings.cassandra_keyspace, ids)
        with closing(CassandraStore(settings, _ignore)) as store:
            _await(store)
            yield store


def tasks(ids: Sequence[UUID]) -> dict[str, Task]:
    """Queries and the ids that they must find, by kind of page."""
    newest = ids[::-1]
    # Half of this page is older than the gap in the middle.
    middle = len(newest) // 2 - _LIMIT // 2
    return {
        "newest": (Query(_LIMIT), newest[:_LIMIT]),
        "middle": (Query(_LIMIT, after=newest[middle - 1]), newest[middle : middle + _LIMIT]),
        "filtered": (Query(_LIMIT, label="no such label"), []),
    }


def print_pages(name: str, filled: Filled, spacing: str, rows: int) -> None:
    now = time.time_ns()
    few, many = (make_ids(SPACINGS[spacing](count, now)) for count in (_FEW, rows))
    with filled(few) as small, filled(many) as large:
        for page, task in tasks(few).items():
            before, after = _medians((small, task), (large, tasks(many)[page]))
            cells = (f"{before:.2f}", f"{len(many):,}", f"{after:.2f}", f"{after / before:.2f}")
            table.row((name, spacing, page, *cells))


def _medians(*pairs: tuple[Store, Task]) -> list[float]:
    """Milliseconds for each store; the stores take turns, so that other load on the machine affects all of them."""
    times: list[list[float]] = [[] for _ in pairs]
    for _ in range(_WARM_UP_CALLS + _CALLS):
        for (store, task), own in zip(pairs, times, strict=True):
            own.append(_ms(store, *task))
    return [statistics.median(own[_WARM_UP_CALLS:]) for own in times]


def _ms(store: Store, query: Query, wanted: Sequence[UUID]) -> float:
    began = time.perf_counter()
    page = store.page(query)
    ms = (time.perf_counter() - began) * 1000
    if [item.id for item in page.items] != list(wanted):
        raise BenchmarkError(f"a page does not have the expected rows: {query}")
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


def _run(rows: int) -> None:
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
        ("store", "rows over time", "page", f"ms with {_FEW:,} rows", "rows", "ms with all rows", "ratio"), texts=3
    )
    for name, filled in stores.items():
        for spacing in SPACINGS:
            print_pages(name, filled, spacing, rows)
    print(f"\n{_NOTE}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows in the large stores (default: 1,000,000)")
    try:
        _run(parser.parse_args().rows)
    except BenchmarkError as error:
        print(f"pages: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
