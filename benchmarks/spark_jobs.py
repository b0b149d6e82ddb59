"""What a batch job costs besides its images: CPU time, speed, and memory. Each function needs a process of its own."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lookbook.model.bundle import read_bundle
from lookbook.settings import Settings
from lookbook.spark.batch import Progress, Run, Summary
from lookbook.spark.session import open_session
from lookbook.spark.source import read_source
from pyspark.sql import SparkSession

from benchmarks import spark_processes
from benchmarks.cases import PHOTO, SMALL, Sample
from benchmarks.spark_images import PlainLoop, make_images
from benchmarks.spark_processes import cpu_seconds, python_workers

_WARM_UP = 400
# As in the chart.
_MEMORY = {"spark.driver.memory": "512m", "spark.executor.memory": "512m"}


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time and duration in seconds."""

    cpu: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Peaks of resident memory in MB."""

    driver_python: float
    driver_java: float
    executor: float
    worker: float


class Job:
    """A session, and the jobs that run on it."""

    def __init__(self, session: SparkSession, sample: Sample, settings: Settings, limit: int | None = None) -> None:
        self._session = session
        self._run = Run(session, settings, read_bundle(sample.model), sample.model, limit)

    def table(self, source: Path, target: Path) -> Summary:
        images = read_source(self._session, str(source))
        return self._run.table(images, images.count(), str(target), _ignore)

    def store(self, source: Path, rejects: Path, progress: Progress) -> Summary:
        images = read_source(self._session, str(source))
        return self._run.store(images, images.count(), "bench", str(rejects), progress)


def start(folder: Path) -> Cost:
    """Open a session and run the first query, which lists a few images in Python workers."""
    before, began = cpu_seconds(), time.monotonic()
    source = make_images(folder, SMALL, 10)
    with _session("local[*]") as session:
        assert read_source(session, str(source)).count() == 10
        return Cost(cpu_seconds() - before, time.monotonic() - began)


def overhead(folder: Path, count: int, rounds: int, cpus: int) -> list[tuple[Cost, Cost]]:
    """The plain loop and Spark in turn over the same images, `rounds` times."""
    with closing(PlainLoop(PHOTO.model, cpus)) as plain, _session(f"local[{cpus}]") as session:
        job = Job(session, PHOTO, Settings())
        _warm_up(job, plain, folder)
        source = make_images(folder / "images", PHOTO, count // rounds)
        return [(Cost(*plain.run(source)), _table(job, source, folder / f"{number}")) for number in range(rounds)]


def speed(folder: Path, count: int, cpus: int) -> tuple[float, float]:
    """Images a second of the plain loop in `cpus` processes, and of Spark on as many CPUs."""
    with closing(PlainLoop(PHOTO.model, cpus)) as plain, _session(f"local[{cpus}]") as session:
        job = Job(session, PHOTO, Settings())
        _warm_up(job, plain, folder)
        source = make_images(folder / "images", PHOTO, count)
        return count / plain.run(source)[1], count / _table(job, source, folder / "predictions").seconds


def memory(folder: Path, settings: Settings, count: int) -> Memory:
    """Store predictions of photographs, and write them as Parquet, with an executor of its own."""
    source = make_images(folder / "images", PHOTO, count)
    with spark_processes.spark_home(), _session("local-cluster[1,2,1024]", **_MEMORY) as session:
        job = Job(session, PHOTO, settings)
        job.store(source, folder / "rejects", _ignore)
        job.table(source, folder / "predictions")
        return _peaks()


def driver_memory(folder: Path, count: int) -> Memory:
    """A job over a list of `count` paths. None of the files exists, so every image is a reject, which is fast."""
    manifest = folder / "list.txt"
    with manifest.open("w") as file:
        file.writelines(f"/nowhere/{number // 1000:06}/IMG_{number:09}.jpg\n" for number in range(count))
    settings = replace(Settings(), sqlite_path=str(folder / "store.sqlite"))
    with spark_processes.spark_home(), _session("local-cluster[1,2,1024]", **_MEMORY) as session:
        summary = Job(session, SMALL, settings).store(manifest, folder / "rejects", _ignore)
        assert summary.rejects == count
        return _peaks()


def connections(folder: Path, settings: Settings, count: int, cpus: int) -> tuple[int, int]:
    """Connections to Cassandra during a job: the most of one worker, and of all processes."""
    most_each = most_all = 0

    def look(_: Counter[str]) -> None:
        nonlocal most_each, most_all
        found = [spark_processes.connections(pid, settings.cassandra_port) for pid in python_workers()]
        own = spark_processes.connections(os.getpid(), settings.cassandra_port)
        most_each, most_all = max(most_each, *found, 0), max(most_all, sum(found) + own)

    source = make_images(folder / "images", SMALL, count)
    with _session(f"local[{cpus}]") as session:
        Job(session, SMALL, settings).store(source, folder / "rejects", look)
    return most_each, most_all


@contextmanager
def _session(master: str, **options: str) -> Iterator[SparkSession]:
    with open_session("bench", {"spark.master": master, **options}) as session:
        yield session


def _warm_up(job: Job, plain: PlainLoop, folder: Path) -> None:
    source = make_images(folder / "warm-up", PHOTO, _WARM_UP)
    plain.run(source)
    job.table(source, folder / "warm")


def _table(job: Job, source: Path, target: Path) -> Cost:
    before, began = cpu_seconds(), time.monotonic()
    job.table(source, target)
    return Cost(cpu_seconds() - before, time.monotonic() - began)


def _peaks() -> Memory:
    python, java = map(spark_processes.peak_mb, spark_processes.driver())
    executor = max(map(spark_processes.peak_mb, spark_processes.executors()))
    return Memory(python, java, executor, max(map(spark_processes.peak_mb, python_workers())))


def _ignore(_: Counter[str]) -> None:
    """Drop the progress."""
