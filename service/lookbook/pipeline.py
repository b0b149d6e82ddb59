"""From an upload to a stored prediction."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from lookbook.errors import Busy, Gone, IdempotencyKeyReused, InvalidRequest, RequestError, StoreUnavailable
from lookbook.keeping import kept_input
from lookbook.model.inference import Classifier
from lookbook.model.preprocessing import ImageData, read_image
from lookbook.model.thumbnails import make_thumbnail
from lookbook.prediction import Prediction, created_at, id_maker
from lookbook.settings import Settings
from lookbook.store import TIMEOUT_SECONDS, Entry, Store
from lookbook.telemetry import metrics
from lookbook.telemetry.tracing import Spans
from lookbook.truth.sampling import Sampler, is_sampled


@dataclass(frozen=True, slots=True)
class Upload:
    """An image's bytes and its file name, which is only text and never used as a path."""

    data: bytes
    file_name: str


@dataclass(frozen=True, slots=True)
class _Classified:
    """A prediction that is not stored yet, its thumbnail, and all scores of shape (labels,).

    `rate` is the probability with which it belongs to the sample; `data` is what was sent, and `array` what the model
    saw.
    """

    prediction: Prediction
    thumbnail: bytes | None
    scores: NDArray[np.float32]
    rate: float
    data: ImageData
    array: NDArray[Any]


class Pipeline:
    """Decodes, classifies, and stores. Whatever it returns is stored."""

    def __init__(self, settings: Settings, classifier: Classifier, store: Store, spans: Spans) -> None:
        self._settings = settings
        self._classifier = classifier
        self._store = store
        self._spans = spans
        self._make_id: Callable[[], UUID] = id_maker(settings.shards)
        self._sampler = Sampler()
        # A slot covers decoding, too, because decoding takes most of the memory.
        slots = settings.max_inferences
        self._slots = threading.Lock() if slots == 1 else threading.BoundedSemaphore(slots)
        self._key_locks = [threading.Lock() for _ in range(64)]

    def predict(self, upload: Upload, key: str | None) -> tuple[Prediction, bool]:
        """The stored prediction, and whether an earlier request with the same idempotency key had stored it.

        Raises the errors of decode(), IdempotencyKeyReused, Gone, Busy, and StoreUnavailable.
        """
        self.check_store()
        if key is not None:
            return self._predict_once(upload, key)
        found = self._classify(upload.data, upload.file_name)
        with self._spans.part("store"), metrics.store_seconds.time():
            self._store.put(self._entry(found))
        metrics.predictions.labels(found.prediction.label).inc()
        return found.prediction, False

    def predict_all(self, images: Sequence[ImageData]) -> list[tuple[Prediction, NDArray[np.float32]]]:
        """The stored predictions, each with scores of shape (labels,).

        Images are decoded one at a time, and other requests may run in between. Raises the errors of predict(), with
        the number of the image; some predictions may be stored then.
        """
        entries, results = [], []
        for number, image in enumerate(images, 1):
            try:
                found = self._classify(image, "")
            except RequestError as error:
                raise type(error)(f"image {number} of {len(images)}: {error}") from error
            entries.append(self._entry(found))
            results.append((found.prediction, found.scores))
        with self._spans.part("store"), metrics.store_seconds.time():
            self._store.put_all(entries)
        for prediction, _ in results:
            metrics.predictions.labels(prediction.label).inc()
        return results

    def check_store(self) -> None:
        """Raises StoreUnavailable if the store is known to be unavailable.

        Without this check the service would decode images in vain, and an autoscaler would mistake that for load.
        """
        status = self._store.status()
        if not status.available:
            raise StoreUnavailable(f"the store is unavailable: {status.failure}")

    @contextmanager
    def inference_slot(self) -> Iterator[None]:
        """Wait for one of the worker's inference slots, which limit memory and CPU use."""
        metrics.queued.inc()
        with self._slots:
            metrics.queued.dec()
            yield

    def _predict_once(self, upload: Upload, key: str) -> tuple[Prediction, bool]:
        """All requests with one key write to one id, so if one is killed halfway, the next completes it."""
        digest = hashlib.sha256(upload.data).digest()
        # Decoded before the key is claimed, so that an invalid image does not use up the key.
        found = self._classify(upload.data, upload.file_name)
        # One request per key at a time: concurrent lightweight transactions on one row delay each other.
        lock = self._key_locks[hash(key) % len(self._key_locks)]
        waited = not lock.acquire(blocking=False)
        if waited and not lock.acquire(timeout=TIMEOUT_SECONDS):
            raise Busy("other requests with this Idempotency-Key are in progress; try again")
        try:
            failure = self._store.status().failure
            if waited and failure:
                # The request before this one has just failed; another attempt would take as long again.
                raise StoreUnavailable(f"the store is unavailable: {failure}")
            return self._store_once(found, key, digest)
        finally:
            lock.release()

    def _store_once(self, found: _Classified, key: str, digest: bytes) -> tuple[Prediction, bool]:
        id, known_digest = self._store.claim(key, digest, found.prediction.id)
        if known_digest != digest:
            raise IdempotencyKeyReused("this Idempotency-Key was used with another image; use a new key")
        if id != found.prediction.id:
            stored = self._store.get(id)
            if stored:
                return stored, True
            if self._expired(id):
                raise Gone("the prediction of this Idempotency-Key has expired; use another key")
            if self._store.deleted(id):
                raise Gone("the prediction of this Idempotency-Key was deleted; use another key")
        candidate = replace(found.prediction, id=id)
        with self._spans.part("store"), metrics.store_seconds.time():
            stored = self._store.put_if_absent(self._entry(replace(found, prediction=candidate)))
        if stored is candidate:
            metrics.predictions.labels(stored.label).inc()
        return stored, stored is not candidate

    def _expired(self, id: UUID) -> bool:
        retention = self._settings.retention
        # Cassandra counts in whole seconds: a prediction may expire almost one second early.
        return bool(retention) and datetime.now(UTC) - created_at(id) >= timedelta(seconds=retention - 1)

    def _classify(self, data: ImageData, file_name: str) -> _Classified:
        """A prediction with a new id."""
        id, bundle = self._make_id(), self._classifier.bundle
        with self.inference_slot():
            with self._spans.part("decode"), metrics.decode_seconds.time():
                array, image = read_image(data, bundle.input, self._settings.max_pixels)
                thumbnail = make_thumbnail(image) if self._settings.thumbnails else None
            with self._spans.part("inference"), metrics.inference_seconds.time():
                scores = self._classifier.classify(array)
            if not np.isfinite(scores).all():
                raise InvalidRequest(
                    "the model's scores for these numbers are not finite: "
                    f"normalize the FP32 input as GET /v2/models/{bundle.name} says"
                )
        prediction = Prediction(id, file_name, self._classifier.top(scores), bundle.name, bundle.version)
        return _Classified(prediction, thumbnail, scores, self._sampler.rate(id), data, array)

    def _entry(self, found: _Classified) -> Entry:
        """What to store; whether it belongs to the sample depends on the ID under which it is stored."""
        sampled = is_sampled(found.prediction.id, found.rate)
        spec = self._classifier.bundle.input
        kept = kept_input(self._settings, spec, sampled, found.data, found.array)
        return Entry(found.prediction, found.thumbnail, found.rate if sampled else None, kept)
