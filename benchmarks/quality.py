"""Measures what an evaluation costs: `python -m benchmarks.quality`, or `make quality`.

It should be quick, and should not make predictions slower.
"""

import argparse
import logging
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import requests
from lookbook.judgment import Judgment
from lookbook.prediction import Prediction, id_maker, permanent_random
from lookbook.settings import PREFIX
from lookbook.store import Entry, Store
from lookbook.store.cassandra import CassandraStore
from lookbook.store.sqlite import SqliteStore
from lookbook.truth.frame import FRAME_ROWS

from benchmarks import table
from benchmarks.cases import PHOTO
from benchmarks.errors import BenchmarkError
from benchmarks.keyspace import keyspace, unreachable
from benchmarks.machine import machine
from benchmarks.server import Server, serve

_DAYS, _JUDGED, _SHARDS = 28, 500, 4
_CALLS, _POSTS = 31, 400
_EVERY_SECONDS = 2  # between evaluations while predictions are measured
_BATCH = 50
_REACH_SECONDS = 30
_MODEL = ("lookbook-clothes", "2.2.0")
_LABELS = [f"label {number}" for number in range(10)]


def days() -> Iterator[list[Entry]]:
    """The samples of 28 days, today included, as many as fit into a frame."""
    rng = np.random.default_rng(1)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for ago in range(_DAYS):
        start = int((midnight - timedelta(days=ago)).timestamp() * 1e9)
        clock = iter(range(start, start + FRAME_ROWS * 1_000_000, 1_000_000))
        make = id_maker(_SHARDS, clock.__next__)
        numbers, scores = rng.integers(0, len(_LABELS), FRAME_ROWS), rng.beta(4, 1.5, FRAME_ROWS)
        tops = (
            ((_LABELS[number], float(score)), (_LABELS[number - 1], float(1 - score)))
            for number, score in zip(numbers, scores, strict=True)
        )
        yield [Entry(Prediction(make(), "image.jpg", top, *_MODEL), None, 0.5) for top in tops]


def fill(store: Store) -> None:
    """The days, and judgments in about the order of review."""
    made: list[Prediction] = []
    for entries in days():
        made += [entry.prediction for entry in entries]
        for start in range(0, len(entries), _BATCH):
            store.put_all(entries[start : start + _BATCH])
    make = id_maker()
    for number, one in enumerate(sorted(made, key=lambda one: permanent_random(one.id))[:_JUDGED]):
        store.judge(one, Judgment(make(), one.id, "ana", one.label if number % 5 else _LABELS[0]))


@contextmanager
def filled_sqlite() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="lookbook-bench-") as folder:
        path = f"{folder}/lookbook.sqlite"
        with closing(SqliteStore(path, _ignore)) as store:
            fill(store)
        yield {f"{PREFIX}SQLITE_PATH": path}


@contextmanager
def filled_cassandra() -> Iterator[dict[str, str]]:
    with keyspace("lookbook_bench_quality") as (settings, _):
        with closing(CassandraStore(settings, _ignore)) as store:
            until = time.monotonic() + _REACH_SECONDS
            while not store.status().reached:
                if time.monotonic() > until:
                    raise BenchmarkError(f"the store is unavailable: {store.status().failure}")
                time.sleep(0.05)
            fill(store)
        yield {
            f"{PREFIX}STORE": "cassandra",
            f"{PREFIX}CASSANDRA_KEYSPACE": settings.cassandra_keyspace,
            f"{PREFIX}SHARDS": str(_SHARDS),
        }


def print_costs(name: str, server: Server) -> None:
    with requests.Session() as session:
        first = _evaluate(session, server)
        times = [_evaluate(session, server) for _ in range(_CALLS)]
        alone = _post(session, server)
        busy = _post_while_evaluating(session, server)
    cells = (
        first,
        float(np.median(times)),
        max(times),
        *np.percentile(alone, (50, 99)),
        *np.percentile(busy, (50, 99)),
    )
    table.row((name, *(f"{cell:.0f}" for cell in cells)))


def _evaluate(session: requests.Session, server: Server) -> float:
    """Milliseconds of one request."""
    began = time.perf_counter()
    response = session.get(f"{server.url}/v1/evaluations", timeout=60)
    ms = (time.perf_counter() - began) * 1000
    if response.status_code != 200 or response.json()["judged"] < _JUDGED / 2:
        raise BenchmarkError(f"unexpected evaluation: {response.status_code} {response.text[:300]}")
    return ms


def _post(session: requests.Session, server: Server) -> list[float]:
    """Milliseconds of predictions, one after the other."""
    image, times = PHOTO.image.read_bytes(), []
    for _ in range(_POSTS):
        began = time.perf_counter()
        response = session.post(
            f"{server.url}/v1/predictions", data=image, headers={"Content-Type": "image/jpeg"}, timeout=60
        )
        times.append((time.perf_counter() - began) * 1000)
        if response.status_code != 201:
            raise BenchmarkError(f"unexpected prediction: {response.status_code} {response.text[:300]}")
    return times


def _post_while_evaluating(session: requests.Session, server: Server) -> list[float]:
    stopped = threading.Event()

    def evaluate() -> None:
        with requests.Session() as other:
            while not stopped.wait(_EVERY_SECONDS):
                other.get(f"{server.url}/v1/evaluations", timeout=60)

    thread = threading.Thread(target=evaluate)
    thread.start()
    try:
        return _post(session, server)
    finally:
        stopped.set()
        thread.join()


def _ignore(_: float) -> None:
    """Drop reports of whether the store is available."""


def _run(only: str) -> None:
    # The stores log that they are available.
    logging.disable(logging.WARNING)
    print(f"{machine()}\n")
    stores = {"sqlite": filled_sqlite}
    if reason := unreachable():
        print(f"without cassandra: {reason}\n")
    else:
        stores["cassandra"] = filled_cassandra
    table.head(
        (
            *("store", "first ms", "p50 ms", "longest ms"),
            *("prediction p50 ms without evaluations", "p99 ms without"),
            *("p50 ms during evaluations", "p99 ms during evaluations"),
        ),
        texts=1,
    )
    for name in [name for name in stores if only in name]:
        with stores[name]() as settings, tempfile.TemporaryDirectory() as folder:
            _measure(name, settings, Path(folder) / "server.log")


def _measure(name: str, settings: Mapping[str, str], log: Path) -> None:
    with serve({f"{PREFIX}MODEL": str(PHOTO.model), **settings}, log) as server:
        print_costs(name, server)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--only", default="", help="measure only stores whose name contains this")
    try:
        _run(parser.parse_args().only)
    except BenchmarkError as error:
        print(f"quality: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
