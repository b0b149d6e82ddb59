"""Measures what a request costs: `python -m benchmarks.bench`, or `make bench`."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lookbook.model.bundle import read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.pillow import configure_pillow
from lookbook.model.preprocessing import preprocess
from lookbook.settings import Settings

from benchmarks import table
from benchmarks.cases import SMALL, Case, Sample, cases
from benchmarks.errors import BenchmarkError
from benchmarks.keyspace import stores
from benchmarks.load import Body, check_wrk, drive, soak, write_body
from benchmarks.machine import machine
from benchmarks.server import Server, serve

_KEYSPACE = "lookbook_bench"
_WARM_UP_SECONDS = 2
_INVOKE_SECONDS = 1.0
_POINTS = 10


def print_costs(selected: list[Case], seconds: int) -> None:
    names = ("", "model", "requests/s", "p50 ms", "p99 ms", "CPU ms", "invoke ms", "VmRSS of the worker, MB", "ready s")
    table.head(names, texts=2)
    for case in selected:
        table.row(_measure(case, seconds))


def print_memory(selected: list[Case], count: int) -> None:
    marks = [f"{count * point // _POINTS:,}" for point in range(1, _POINTS + 1)]
    table.head(("VmRSS of the worker in MB after requests", *marks), texts=1)
    for case in selected:
        with _served(case) as (server, body):
            resident = [f"{server.resident():.1f}" for _ in soak(server.url, body, count, _POINTS)]
        table.row((case.name, *resident))


def _measure(case: Case, seconds: int) -> tuple[str, ...]:
    with _served(case) as (server, body):
        drive(server.url, body, _WARM_UP_SECONDS)
        before = server.cpu_seconds()
        load = drive(server.url, body, seconds)
        cpu_ms = (server.cpu_seconds() - before) / load.requests * 1000
        resident = server.resident()
    return (
        case.name,
        "/".join(case.sample.model.parts[-2:]),
        f"{load.requests / load.seconds:,.0f}",
        f"{load.p50:.1f}",
        f"{load.p99:.1f}",
        f"{cpu_ms:.2f}",
        f"{_invoke_ms(case.sample):.3f}",
        f"{resident:.1f}",
        f"{server.seconds:.2f}",
    )


def _invoke_ms(sample: Sample) -> float:
    """CPU milliseconds that the engine needs for one image, in this process."""
    configure_pillow()
    classifier = Classifier(read_bundle(sample.model))
    array = preprocess(sample.image.read_bytes(), classifier.bundle.input, Settings().max_pixels)
    began, count = time.process_time(), 0
    while time.process_time() - began < _INVOKE_SECONDS:
        classifier.classify(array)
        count += 1
    return (time.process_time() - began) / count * 1000


@contextmanager
def _served(case: Case) -> Iterator[tuple[Server, Body]]:
    with tempfile.TemporaryDirectory(prefix="lookbook-bench-") as folder:
        body = write_body(case.sample.image, Path(folder, "body"))
        settings = {
            "LOOKBOOK_STORE": case.store,
            "LOOKBOOK_SQLITE_PATH": f"{folder}/lookbook.sqlite",
            "LOOKBOOK_CASSANDRA_KEYSPACE": _KEYSPACE,
            "LOOKBOOK_MODEL": str(case.sample.model),
            "LOOKBOOK_THUMBNAILS": str(case.thumbnails).lower(),
        }
        with serve(settings, Path(folder, "log")) as server:
            yield server, body


def _run(options: argparse.Namespace) -> None:
    check_wrk()
    print(f"{machine()}\n")
    with stores(_KEYSPACE, lambda line: print(f"{line}\n")) as measured:
        selected = cases(measured, options.only)
        if options.soak:
            print_memory([case for case in selected if case.sample == SMALL and case.thumbnails], options.soak)
        else:
            print_costs(selected, options.seconds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="seconds to measure each row (default: 8)")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="measure only rows with this in their name")
    parser.add_argument("--soak", type=int, metavar="N", help="print the worker's memory over N requests instead")
    try:
        _run(parser.parse_args())
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
