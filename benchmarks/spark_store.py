"""How fast jobs write to Cassandra, and what that does to a service that uses the same one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import requests
from cassandra.cluster import Session
from lookbook.job import Job, now
from lookbook.prediction import Prediction
from lookbook.settings import PREFIX, Settings
from lookbook.store import Entry, Store
from lookbook.store.opening import open_store
from lookbook.store.patience import patiently

from benchmarks.cases import SMALL
from benchmarks.errors import BenchmarkError
from benchmarks.keyspace import keyspace
from benchmarks.rows import MODEL
from benchmarks.server import serve
from benchmarks.spark_images import make_images

_BATCH = 128
_WARM_UP_BATCHES = 16
_THUMBNAIL_BYTES = 1_400
_TOP = (("Sandal", 0.71), ("Sneaker", 0.2), ("Bag", 0.05))
_PATIENCE_SECONDS, _START_SECONDS, _STOP_SECONDS = 60, 180, 60

_store: Store


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of requests, and how many predictions a job stored in each second meanwhile."""

    p50: float
    p99: float
    writes: float


def writes(settings: Settings, rows: int, writers: int, thumbnails: bool) -> float:
    """Predictions that `writers` processes store in a second, 128 at once, as the workers of a job do."""
    job, batches = Job("bench", now(), "", rows), -(-rows // _BATCH)
    with get_context("spawn").Pool(writers, _open, (settings,)) as pool:
        calls = [(job, first, thumbnails) for first in range(-_WARM_UP_BATCHES, batches)]
        pool.starmap(_put, calls[:_WARM_UP_BATCHES], chunksize=1)
        began = time.monotonic()
        pool.starmap(_put, calls[_WARM_UP_BATCHES:], chunksize=1)
        return batches * _BATCH / (time.monotonic() - began)


def _open(settings: Settings) -> None:
    global _store
    _store = open_store(settings, lambda _: None)


def _put(job: Job, batch: int, thumbnails: bool) -> None:
    names = [f"IMG_{batch * _BATCH + number:09}.jpg" for number in range(_BATCH)]
    entries = [
        Entry(Prediction(job.id_of(name), name, _TOP, *MODEL), os.urandom(_THUMBNAIL_BYTES) if thumbnails else None)
        for name in names
    ]
    patiently(lambda: _store.put_job(job, entries), _PATIENCE_SECONDS)


def latency(folder: Path, limit: int | None, job: bool, rate: int, seconds: int, images: int) -> Latency:
    """Requests at a steady rate, alone or beside a job that may store `limit` predictions a second."""
    with keyspace("lookbook_bench_spark") as (settings, session):
        environment = {
            f"{PREFIX}STORE": "cassandra",
            f"{PREFIX}CASSANDRA_KEYSPACE": settings.cassandra_keyspace,
            f"{PREFIX}MODEL": str(SMALL.model),
        }
        # Only the job stores thumbnails.
        with serve({**environment, f"{PREFIX}THUMBNAILS": "false"}, folder / "server.log") as server:
            _post(server.url, rate, 5)
            if not job:
                return _latency(_post(server.url, rate, seconds), 0)
            source = make_images(folder / "images", SMALL, images)
            with _job(source, environment, limit, session, settings.cassandra_keyspace) as process:
                before = _count(session, settings.cassandra_keyspace)
                times = _post(server.url, rate, seconds)
                stored = _count(session, settings.cassandra_keyspace) - before
                if process.poll() is not None:
                    raise BenchmarkError("the job ended too early: give it more --images")
        return _latency(times, stored / seconds)


def _latency(times: list[float], writes: float) -> Latency:
    p50, p99 = np.percentile(times, (50, 99))
    return Latency(p50, p99, writes)


@contextmanager
def _job(
    source: Path, environment: dict[str, str], limit: int | None, session: Session, keyspace: str
) -> "Iterator[subprocess.Popen[bytes]]":
    """A job on one CPU that has begun to store predictions."""
    options = ["--job=bench", f"--rejects={source.parent / 'rejects'}", "--conf=spark.master=local[1]"]
    if limit:
        options.append(f"--writes-per-second={limit}")
    command = [sys.executable, "-m", "lookbook", "batch", "classify", str(source), *options]
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _count(session, keyspace):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError("the job did not start")
            time.sleep(0.1)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(_STOP_SECONDS)


def _count(session: Session, keyspace: str) -> int:
    """Thumbnails, each of which belongs to a prediction."""
    rows = session.execute(f"SELECT count(*) FROM {keyspace}.thumbnails", timeout=_PATIENCE_SECONDS)
    count: int = rows.one()[0]
    return count


def _post(url: str, rate: int, seconds: int) -> list[float]:
    """Milliseconds from when each request was due until its response."""
    image, times = SMALL.image.read_bytes(), []
    with requests.Session() as session:
        began = time.monotonic()
        for number in range(rate * seconds):
            due = began + number / rate
            time.sleep(max(0.0, due - time.monotonic()))
            response = session.post(
                f"{url}/v1/predictions", data=image, headers={"Content-Type": "image/png"}, timeout=60
            )
            times.append((time.monotonic() - due) * 1000)
            if response.status_code != 201:
                raise BenchmarkError(f"unexpected prediction: {response.status_code} {response.text[:300]}")
    return times
