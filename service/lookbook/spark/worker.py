"""What a Python worker of Spark does with its images. Tests: tests/spark/test_batch.py."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from lookbook import images
from lookbook.errors import LookbookError, RequestError
from lookbook.job import EARLIER, REJECTED, Job, rejected
from lookbook.keeping import kept_input
from lookbook.model.bundle import Bundle, read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.pillow import configure_pillow
from lookbook.model.preprocessing import read_image
from lookbook.model.quiet import quiet
from lookbook.model.thumbnails import make_thumbnail
from lookbook.prediction import Prediction
from lookbook.settings import Settings
from lookbook.spark.arrow import to_batch
from lookbook.store import Entry, Store
from lookbook.store.opening import open_store
from lookbook.store.patience import patiently
from lookbook.truth.sampling import is_sampled

Count = Callable[[Counter[str]], None]

PATIENCE_SECONDS = 900.0  # for a store that is unavailable

REJECTS = pa.schema([("path", pa.string()), ("code", pa.string()), ("message", pa.string())])
PREDICTIONS = pa.schema(
    [
        ("path", pa.string()),
        ("label", pa.string()),
        ("score", pa.float64()),
        ("labels", pa.list_(pa.string())),
        ("scores", pa.list_(pa.float64())),
        ("model_name", pa.string()),
        ("model_version", pa.string()),
        ("code", pa.string()),
        ("message", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker needs to know; it travels to the workers with the code."""

    job: Job
    folder: str  # of the bundle
    settings: Settings
    resumed: bool
    writes_per_second: float  # of one worker; infinite: no limit


@dataclass(frozen=True, slots=True)
class _Classified:
    """`entry` is what to store."""

    path: str
    entry: Entry

    @property
    def top(self) -> tuple[tuple[str, float], ...]:
        return self.entry.prediction.top


@dataclass(frozen=True, slots=True)
class _Reject:
    path: str
    code: str
    message: str


def to_table(plan: Plan, count: Count, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of PREDICTIONS; a reject has a code and a message, and no label."""
    classifier = classifier_of(plan.folder, plan.job.bundle)
    for batch in batches:
        found = [_classify(plan, classifier, path, data) for path, data in _contents(batch)]
        count(_tally(found))
        yield _to_rows(found, classifier)


def to_store(plan: Plan, count: Count, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Store the predictions; rows of REJECTS for the images that could not be read."""
    classifier, store = classifier_of(plan.folder, plan.job.bundle), store_of(plan.settings)
    for batch in batches:
        started = time.monotonic()
        counts, rejects = _store_batch(plan, classifier, store, batch)
        count(counts)
        yield rejects
        stored = counts.total() - counts[EARLIER] - rejected(counts).total()
        time.sleep(max(0.0, stored / plan.writes_per_second - (time.monotonic() - started)))


def _store_batch(
    plan: Plan, classifier: Classifier, store: Store, batch: pa.RecordBatch
) -> tuple[Counter[str], pa.RecordBatch]:
    paths = batch.column("path").to_pylist()
    done = patiently(lambda: _stored(plan, store, paths), PATIENCE_SECONDS) if plan.resumed else frozenset()
    found = [_classify(plan, classifier, path, data) for path, data in _contents(batch) if path not in done]
    entries = [item.entry for item in found if isinstance(item, _Classified)]
    patiently(lambda: store.put_job(plan.job, entries), PATIENCE_SECONDS)
    return _tally(found) + Counter({EARLIER: len(done)}), _to_rejects(found)


def _contents(batch: pa.RecordBatch) -> Iterator[tuple[str, bytes | None]]:
    """Paths with the bytes of their images; None means that the bytes are still to be read."""
    paths = batch.column("path").to_pylist()
    if "content" not in batch.schema.names:
        return zip(paths, [None] * len(paths), strict=True)
    # One at a time: a batch of contents is large already.
    return zip(paths, (value.as_py() for value in batch.column("content")), strict=True)


def _classify(plan: Plan, classifier: Classifier, path: str, data: bytes | None) -> _Classified | _Reject:
    spec, settings = classifier.bundle.input, plan.settings
    try:
        if data is None:
            data = images.read(local(path))
        array, image = read_image(data, spec, settings.max_pixels)
    except OSError as error:
        return _Reject(path, "unreadable", error.strerror or str(error))
    except RequestError as error:
        return _Reject(path, error.code, str(error))
    id, bundle = plan.job.id_of(path), classifier.bundle
    sampled = is_sampled(id, plan.job.sampling_rate)
    top = classifier.top(classifier.classify(array))
    return _Classified(
        path,
        Entry(
            Prediction(id, os.path.basename(path), top, bundle.name, bundle.version),
            make_thumbnail(image) if settings.thumbnails else None,
            plan.job.sampling_rate if sampled else None,
            kept_input(settings, spec, sampled, data, array),
        ),
    )


def local(path: str) -> str:
    return path.removeprefix("file://") if path.startswith("file:///") else path.removeprefix("file:")


def _stored(plan: Plan, store: Store, paths: Sequence[str]) -> frozenset[str]:
    """The paths whose predictions an earlier run has stored."""
    ids = {plan.job.id_of(path): path for path in paths}
    return frozenset(ids[id] for id in store.existing(tuple(ids)))


def _tally(found: Sequence[_Classified | _Reject]) -> Counter[str]:
    return Counter(REJECTED + item.code if isinstance(item, _Reject) else item.top[0][0] for item in found)


def _to_rejects(found: Sequence[_Classified | _Reject]) -> pa.RecordBatch:
    rows = [
        {"path": item.path, "code": item.code, "message": item.message} for item in found if isinstance(item, _Reject)
    ]
    return to_batch(rows, REJECTS)


def _to_rows(found: Sequence[_Classified | _Reject], classifier: Classifier) -> pa.RecordBatch:
    bundle = classifier.bundle
    return to_batch([_row(item, bundle) for item in found], PREDICTIONS)


def _row(item: _Classified | _Reject, bundle: Bundle) -> dict[str, Any]:
    model = {"path": item.path, "model_name": bundle.name, "model_version": bundle.version}
    if isinstance(item, _Reject):
        return model | {"code": item.code, "message": item.message}
    labels, scores = zip(*item.top, strict=True)
    return model | {"label": labels[0], "score": scores[0], "labels": labels, "scores": scores}


@cache
def classifier_of(folder: str, digest: str) -> Classifier:
    """One in each worker process, which Spark reuses for its next task."""
    configure_pillow()
    bundle = read_bundle(Path(folder))
    if bundle.digest != digest:
        raise LookbookError(
            f"the bundle in {folder} on {os.uname().nodename} differs from the one that the job started with: "
            "copy the same bundle to every machine"
        )
    with quiet():
        return Classifier(bundle)


@cache
def store_of(settings: Settings) -> Store:
    return open_store(settings, lambda _: None)
