"""A batch job from its source to its summary. Tests: tests/spark/test_batch.py."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

from pyspark import AccumulatorParam
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from lookbook.errors import LookbookError
from lookbook.job import EARLIER, Job, now, rejected
from lookbook.model.bundle import Bundle
from lookbook.settings import Settings
from lookbook.spark import worker
from lookbook.spark.worker import Plan
from lookbook.store import Store
from lookbook.store.opening import open_store
from lookbook.store.patience import patiently

TASKS_PER_CPU = 4
_IMAGES_PER_TASK = 2_000
_MOST_TASKS = 20_000  # the driver keeps some kilobytes for each
_LISTED_REJECTS = 1_000
_POLL_SECONDS = 1.0
_REJECTS = "path string, code string, message string"
_OTHER_FILES = "path NOT RLIKE '/part-[^/]*[.]json[^/]*$'"
_PREDICTIONS = (
    "path string, label string, score double, labels array<string>, scores array<double>, model_name string, "
    "model_version string, code string, message string"
)

_OUTCOME = "if(code IS NULL, 'predictions', 'rejects') AS outcome"
# What a task has written is kept if the job is stopped. By default, Hadoop moves all files at the end of the job.
_KEEP_TASKS = {"mapreduce.fileoutputcommitter.algorithm.version": "2"}

Progress = Callable[[Counter[str]], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """`labels` counts this run's predictions; `before` is how many an earlier run of the job had stored.

    `reasons` counts the rejects; `listed` has the first of them as JSON unless they were written to a folder.
    """

    labels: Counter[str]
    reasons: Counter[str]
    before: int
    seconds: float
    listed: tuple[str, ...] = ()

    @property
    def rejects(self) -> int:
        return self.reasons.total()


class _Counting(AccumulatorParam[Counter[str]]):
    def zero(self, value: Counter[str]) -> Counter[str]:  # noqa: ARG002
        return Counter()

    def addInPlace(self, value1: Counter[str], value2: Counter[str]) -> Counter[str]:
        value1.update(value2)
        return value1


class Run:
    """Classifies images with one bundle on one session."""

    def __init__(
        self, session: SparkSession, settings: Settings, model: Bundle, folder: Path, writes_per_second: int | None
    ) -> None:
        """`folder` holds the bundle, on every machine that has workers."""
        self._session, self._settings = session, settings
        self._model, self._folder = model, folder
        self._limit = (writes_per_second or inf) / session.sparkContext.defaultParallelism

    def store(self, images: DataFrame, total: int, name: str, rejects: str | None, progress: Progress) -> Summary:
        """Store the predictions of the job `name`; write its rejects as JSON Lines into a folder, if there is one.

        Raises LookbookError if the folder has other files.
        """
        if rejects is not None:
            _check_rejects(self._session, rejects)
        with closing(open_store(self._settings, lambda _: None)) as store:
            job, resumed = start_job(store, Job(name, now(), self._model.digest, total))
        with counting(self._session, progress) as counts:
            found = self._spread(images, total).mapInArrow(
                partial(worker.to_store, self._plan(job, resumed), counts.add), _REJECTS
            )
            if rejects is None:
                first = found.orderBy("path").limit(_LISTED_REJECTS)
                listed = tuple(row[0] for row in first.selectExpr("to_json(struct(*))").collect())
            else:
                listed = ()
                found.write.mode("overwrite").json(rejects)
        return replace(counts.summary(), listed=listed)

    def table(self, images: DataFrame, total: int, target: str, progress: Progress) -> Summary:
        """Write predictions and rejects as Parquet; skip the paths that `target` has already."""
        plan = self._plan(Job("", now(), self._model.digest, total), thumbnails=False, keep="none")
        with counting(self._session, progress) as counts:
            rows = _existing(self._session, target)
            if rows is not None:
                self._check_model(rows, target)
                images = images.join(rows.select("path"), "path", "left_anti")
                counts.add(Counter({EARLIER: rows.count()}))
            found = self._spread(images, total).mapInArrow(partial(worker.to_table, plan, counts.add), _PREDICTIONS)
            writer = found.selectExpr("*", _OUTCOME).write.mode("append").partitionBy("outcome")
            writer.options(**_KEEP_TASKS).parquet(target)
        return counts.summary()

    def _plan(self, job: Job, resumed: bool = False, **changes: Any) -> Plan:
        """`changes` are settings for this run."""
        return Plan(job, str(self._folder), replace(self._settings, **changes), resumed, self._limit)

    def _spread(self, images: DataFrame, total: int) -> DataFrame:
        """Paths in tasks of one size. Contents stay where they are: moving them costs more than uneven tasks."""
        if "content" in images.columns:
            return images
        return images.repartition(task_count(total, self._session.sparkContext.defaultParallelism))

    def _check_model(self, rows: DataFrame, target: str) -> None:
        for name, version in rows.select("model_name", "model_version").distinct().collect():
            if (name, version) != (self._model.name, self._model.version):
                raise LookbookError(
                    f"{target} holds predictions of {name} {version}, not of {self._model.name} "
                    f"{self._model.version}: choose another folder"
                )


def task_count(total: int, cpus: int) -> int:
    """In how many tasks `total` images are processed."""
    return max(min(TASKS_PER_CPU * cpus, total), min(-(-total // _IMAGES_PER_TASK), _MOST_TASKS), 1)


def start_job(store: Store, new: Job) -> tuple[Job, bool]:
    """The job of that name, and whether an earlier run has started it. Raises LookbookError if it cannot be resumed."""
    job = patiently(lambda: store.start_job(new), worker.PATIENCE_SECONDS)
    if job.bundle != new.bundle:
        raise LookbookError(f"job {job.name} was started with another bundle: use that bundle or another job name")
    if new.started_at - job.started_at > timedelta(seconds=store.resume_seconds()):
        raise LookbookError(
            f"job {job.name} was started on {job.started_at:%Y-%m-%d} and can no longer be resumed, because deleted "
            "predictions could come back: use another job name"
        )
    return job, job != new


def _check_rejects(session: SparkSession, folder: str) -> None:
    """Raises LookbookError if the folder, which the job replaces, has something else than rejects."""
    files = session.read.format("binaryFile").option("recursiveFileLookup", "true")
    try:
        other = files.load(folder).where(_OTHER_FILES).select("path").first()
    except AnalysisException as error:
        if error.getCondition() != "PATH_NOT_FOUND":
            raise
        return
    if other:
        raise LookbookError(
            f"the rejects would replace {folder}, which has other files such as {other[0]}: choose another folder with "
            "--rejects"
        )


def _existing(session: SparkSession, target: str) -> DataFrame | None:
    """The rows that are in the folder, None if there is no such folder."""
    try:
        return session.read.parquet(target)
    except AnalysisException as error:
        if error.getCondition() in ("PATH_NOT_FOUND", "UNABLE_TO_INFER_SCHEMA"):
            return None
        raise


class _Counts:
    """What the workers have counted so far, reported every second."""

    def __init__(self, session: SparkSession, progress: Progress) -> None:
        self._total = session.sparkContext.accumulator(Counter[str](), _Counting())
        self.add = self._total.add
        self._progress = progress
        self._started = time.monotonic()
        self._done = threading.Event()

    def report(self) -> None:
        while not self._done.wait(_POLL_SECONDS):
            self._progress(self._total.value.copy())
        self._progress(self._total.value.copy())

    def stop(self) -> None:
        self._done.set()

    def summary(self) -> Summary:
        counts = self._total.value.copy()
        labels = Counter({name: count for name, count in counts.items() if not name.startswith("\n")})
        return Summary(labels, rejected(counts), counts[EARLIER], time.monotonic() - self._started)


@contextmanager
def counting(session: SparkSession, progress: Progress) -> Iterator[_Counts]:
    counts = _Counts(session, progress)
    thread = threading.Thread(target=counts.report, name="batch-progress")
    thread.start()
    try:
        yield counts
    finally:
        counts.stop()
        thread.join()
