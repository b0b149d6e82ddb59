"""Another model over all inputs that a store keeps. Tests: tests/spark/test_replay.py."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from pyspark import RDD, StorageLevel
from pyspark.sql import DataFrame, SparkSession

from lookbook import images
from lookbook.errors import LookbookError, RequestError
from lookbook.job import Job
from lookbook.judgment import GroundTruth
from lookbook.model.bundle import Bundle
from lookbook.model.pillow import configure_pillow
from lookbook.prediction import id_maker, permanent_random
from lookbook.quality import Window, date_of, first_whole_day
from lookbook.replay.comparison import Comparison
from lookbook.replay.inputs import StoredInput
from lookbook.replay.rerun import Models, Rerun, Stored
from lookbook.settings import Settings
from lookbook.spark.batch import TASKS_PER_CPU, Progress, counting, task_count
from lookbook.spark.worker import PATIENCE_SECONDS, Count, classifier_of, local, store_of
from lookbook.store import Comparison as StoredComparison
from lookbook.store import Input, Store
from lookbook.store.patience import patiently
from lookbook.store.rows import scan_patiently

MOST_FLIPS = 10_000  # whose ground truths count, the first in the order of review

_DEPTH = 3  # of the tree in which the tasks' results are merged
_TRUTHS_AT_ONCE = 100

Row = tuple[bytes, str, float]  # id, label, and score of a stored prediction
Show = Callable[[int], AbstractContextManager[Progress]]  # gets how many inputs there are


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker needs to know; it travels to the workers with the code. Each bundle is a folder and a digest."""

    settings: Settings
    baseline: tuple[str, str]
    candidate: tuple[str, str]


# From rows, what is stored and the input, None if there is none.
Read = Callable[[Plan, Iterator[Any]], Iterator[tuple[Stored, Input | None]]]


class Run:
    """Runs two bundles over the inputs of a store on one session."""

    def __init__(
        self, session: SparkSession, settings: Settings, store: Store, baseline: Bundle, candidate: Bundle
    ) -> None:
        """The bundles are in the same folders on every machine that has workers."""
        self._session, self._context = session, session.sparkContext
        self._settings, self._store, self._baseline = settings, store, baseline
        self._plan = Plan(settings, *((str(one.model.parent), one.digest) for one in (baseline, candidate)))

    def kept_inputs(self, since: int, until: int, show: Show) -> Comparison:
        """What both models say about the kept inputs of these days.

        Raises LookbookError if there are none.
        """
        first = max(since, first_whole_day(self._settings.retention))
        window = Window(self._baseline.name, self._baseline.version, first, until)
        # Kept, about 50 bytes each: counting them would otherwise be another scan of the store.
        rows = self._rows(window).persist(StorageLevel.DISK_ONLY)
        total = rows.count()
        comparison = self._compare(self._spread(rows, total), total, _kept, show)
        rows.unpersist()
        if not comparison.inputs:
            raise LookbookError(
                f"the store has no inputs of {comparison.baseline} from {date_of(window.since)} to "
                f"{date_of(window.until)} (predictions without an input: {comparison.without_input:,}); check "
                "--baseline-bundle, --since, --until, and LOOKBOOK_KEEP"
            )
        return comparison

    def job(self, source: DataFrame, name: str, show: Show) -> Comparison:
        """What both models say about the images that the job `name` has classified, read again.

        Raises LookbookError if there are none.
        """
        job = next((job for job in patiently(self._store.jobs, PATIENCE_SECONDS) if job.name == name), None)
        if job is None:
            raise LookbookError(f"there is no job {name} in the store; `lookbook batch list` lists the jobs")
        if job.bundle != self._baseline.digest:
            raise LookbookError(f"job {name} has used another bundle: name it with --baseline-bundle")
        total = source.count()
        # Contents stay where they are, as in a job.
        rows = source.rdd if "content" in source.columns else self._spread(source.rdd, total)
        comparison = self._compare(rows, total, partial(_read, job), show) if total else None
        if comparison is None or not comparison.inputs:
            raise LookbookError(f"none of these images has a prediction of job {name}: give the SOURCE of the job")
        return comparison

    def _rows(self, window: Window) -> RDD[Row]:
        """The predictions of the window, read by the workers."""
        count = TASKS_PER_CPU * self._context.defaultParallelism
        ranges = patiently(lambda: self._store.ranges(*window.bounds, count), PATIENCE_SECONDS)
        return self._context.parallelize(ranges, len(ranges) or 1).flatMap(partial(_scan, self._settings, window.model))

    def _spread(self, rows: RDD[Any], total: int) -> RDD[Any]:
        """The rows in tasks of one size: the predictions of a batch job are in few ranges."""
        return rows.repartition(task_count(total, self._context.defaultParallelism))

    def _compare(self, rows: RDD[Any], total: int, read: Read, show: Show) -> Comparison:
        """What both models say about what `read` makes of the rows."""
        with show(total) as progress, counting(self._session, progress) as counts:
            found = rows.mapPartitions(partial(_rerun, self._plan, counts.add, read))
            comparison = found.treeReduce(Comparison.merge, _DEPTH)
        comparison.look_up(self._truths)
        return comparison

    def with_previews(self, flips: Sequence[Rerun]) -> list[Rerun]:
        """The flips with a preview; those without an image in the store are left out."""
        configure_pillow()
        found = [replace(flip, preview=self._preview(flip.id)) for flip in flips]
        return [flip for flip in found if flip.preview]

    def store(self, comparison: Comparison, report: Mapping[str, Any]) -> UUID:
        """Store the result; returns its id."""
        made = StoredComparison(id_maker()(), comparison.baseline, comparison.candidate, json.dumps(report))
        patiently(lambda: self._store.put_comparison(made, comparison.to_store()), PATIENCE_SECONDS)
        return made.id

    def _preview(self, id: UUID) -> bytes:
        """What the baseline saw, or else the thumbnail; empty without both."""
        input = patiently(lambda: self._store.input(id), PATIENCE_SECONDS)
        if input:
            return StoredInput(input, self._baseline.input, self._settings.max_pixels).preview()
        return patiently(lambda: self._store.thumbnail(id), PATIENCE_SECONDS) or b""

    def _truths(self, ids: Sequence[UUID]) -> dict[UUID, GroundTruth]:
        found: dict[UUID, GroundTruth] = {}
        for start in range(0, len(ids), _TRUTHS_AT_ONCE):
            part = ids[start : start + _TRUTHS_AT_ONCE]
            found |= patiently(partial(self._store.truths, part), PATIENCE_SECONDS)
        return found


def _scan(settings: Settings, model: tuple[str, str], bounds: tuple[UUID, UUID]) -> Iterator[Row]:
    for rows in scan_patiently(store_of(settings).scan, *bounds):
        for place, made_by in enumerate(zip(rows.model_names, rows.model_versions, strict=True)):
            if made_by == model:
                yield rows.ids[16 * place : 16 * place + 16], rows.labels[place][0], rows.scores[place][0]


def _kept(plan: Plan, rows: Iterator[Row]) -> Iterator[tuple[Stored, Input | None]]:
    store = store_of(plan.settings)
    for row in rows:
        id = UUID(bytes=row[0])
        yield Stored(id, row[1:], permanent_random(id)), patiently(partial(store.input, id), PATIENCE_SECONDS)


def _read(job: Job, plan: Plan, rows: Iterator[Any]) -> Iterator[tuple[Stored, Input | None]]:
    """The images that have a prediction of the job."""
    store = store_of(plan.settings)
    for row in rows:
        id = job.id_of(row.path)
        prediction = patiently(partial(store.get, id), PATIENCE_SECONDS)
        if prediction:
            stored = Stored(id, (prediction.label, prediction.score), permanent_random(id))
            yield stored, _image(row.path, row.content if "content" in row else None)


def _image(path: str, content: bytes | None) -> Input | None:
    try:
        return Input("original", bytes(content or images.read(local(path))))
    except OSError:
        return None


def _rerun(plan: Plan, count: Count, read: Read, rows: Iterator[Any]) -> Iterator[Comparison]:
    baseline, candidate = classifier_of(*plan.baseline), classifier_of(*plan.candidate)
    models = Models(baseline, candidate, plan.settings.max_pixels)
    comparison = Comparison(baseline.bundle.full_name, candidate.bundle.full_name, MOST_FLIPS)
    for stored, input in read(plan, rows):
        try:
            found = models.rerun(stored, input) if input else None
        except RequestError:  # an image file that has changed
            found = None
        if found:
            comparison.add(found)
        else:
            comparison.without_input += 1
    count(Counter(rerun=comparison.inputs + comparison.without_input))
    yield comparison
