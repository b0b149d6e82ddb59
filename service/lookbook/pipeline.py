"""From an upload to a stored prediction."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from lookbook.errors import Busy, Gone, IdempotencyKeyReused, InvalidRequest, RequestError, StoreUnavailable
from lookbook.model.inference import Classifier
from lookbook.model.preprocessing import ImageData, read_image, thumbnail
from lookbook.prediction import Prediction, created_at, id_maker
from lookbook.settings import Settings
from lookbook.store import TIMEOUT, Store
from lookbook.telemetry import metrics
from lookbook.telemetry.tracing import Spans


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture's bytes and the name it came with, which is text and never a path."""

    data: bytes
    file_name: str


class Pipeline:
    """Decodes, classifies and stores; what it returns is stored."""

    def __init__(self, settings: Settings, classifier: Classifier, store: Store, spans: Spans) -> None:
        self._settings = settings
        self._classifier = classifier
        self._store = store
        self._spans = spans
        self._make_id: Callable[[], UUID] = id_maker(settings.shards)
        # Decoding, too: it is what takes the memory.
        slots = settings.max_inferences
        self._slots = threading.Lock() if slots == 1 else threading.BoundedSemaphore(slots)
        self._key_locks = [threading.Lock() for _ in range(64)]

    def predict(self, upload: Upload, key: str | None) -> tuple[Prediction, bool]:
        """The stored prediction, and whether an earlier request with the same key had stored it.

        Raises the errors of decode(), IdempotencyKeyReused, Gone, Busy and StoreUnavailable.
        """
        self.check_store()
        if key is None:
            prediction, picture, _ = self._predict(upload.data, upload.file_name)
            with self._spans.part("store"), metrics.store_seconds.time():
                self._store.put(prediction, picture)
            metrics.predictions.labels(prediction.label).inc()
            return prediction, False
        return self._predict_once(upload, key)

    def predict_all(self, pictures: Sequence[ImageData]) -> list[tuple[Prediction, NDArray[np.float32]]]:
        """The stored predictions, with scores of shape (labels,); all are stored or none is acknowledged.

        One picture at a time is decoded, and others may come in between. Errors as answer(), naming the picture.
        """
        found = []
        for number, picture in enumerate(pictures):
            try:
                found.append(self._predict(picture, ""))
            except RequestError as error:
                raise type(error)(f"picture {number}: {error}") from error
        with self._spans.part("store"), metrics.store_seconds.time():
            self._store.put_all([(prediction, small) for prediction, small, _ in found])
        for prediction, _, _ in found:
            metrics.predictions.labels(prediction.label).inc()
        return [(prediction, scores) for prediction, _, scores in found]

    def check_store(self) -> None:
        """Raises StoreUnavailable while it is known: to decode for nothing would look like work to the autoscaler."""
        status = self._store.status()
        if not status.available:
            raise StoreUnavailable(f"the store is unavailable: {status.failure}")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the right to do what takes much memory or CPU time."""
        metrics.queued.inc()
        with self._slots:
            metrics.queued.dec()
            yield

    def _predict_once(self, upload: Upload, key: str) -> tuple[Prediction, bool]:
        """Every request with the key writes to one id, so one killed half-way leaves the next to finish."""
        digest = hashlib.sha256(upload.data).digest()
        # Decoded before the key is claimed: a picture that is refused must not use it up.
        prediction, picture, _ = self._predict(upload.data, upload.file_name)
        # One at a time in this process: lightweight transactions on one row get in each other's way.
        lock = self._key_locks[hash(key) % len(self._key_locks)]
        waited = not lock.acquire(blocking=False)
        if waited and not lock.acquire(timeout=TIMEOUT):
            raise Busy("other requests with this Idempotency-Key are under way")
        try:
            failure = self._store.status().failure
            if waited and failure:
                # The request ahead has just found out; another attempt would take as long again.
                raise StoreUnavailable(f"the store is unavailable: {failure}")
            return self._store_once(prediction, picture, key, digest)
        finally:
            lock.release()

    def _store_once(
        self, prediction: Prediction, picture: bytes | None, key: str, digest: bytes
    ) -> tuple[Prediction, bool]:
        id, known = self._store.claim(key, digest, prediction.id)
        if known != digest:
            raise IdempotencyKeyReused("this Idempotency-Key was used with another picture")
        if id != prediction.id:
            stored = self._store.get(id)
            if stored:
                return stored, True
            if self._expired(id):
                raise Gone("the record of this Idempotency-Key was kept no longer; use another key")
            if self._store.deleted(id):
                raise Gone("the record of this Idempotency-Key was deleted; use another key")
        candidate = replace(prediction, id=id)
        with self._spans.part("store"), metrics.store_seconds.time():
            standing = self._store.put_if_absent(candidate, picture)
        if standing is candidate:
            metrics.predictions.labels(standing.label).inc()
        return standing, standing is not candidate

    def _expired(self, id: UUID) -> bool:
        kept = self._settings.retention
        # Cassandra counts whole seconds: a record may go almost one too soon.
        return bool(kept) and datetime.now(UTC) - created_at(id) >= timedelta(seconds=kept - 1)

    def _predict(self, picture: ImageData, file_name: str) -> tuple[Prediction, bytes | None, NDArray[np.float32]]:
        """A prediction with a new id, its thumbnail and all scores."""
        id, bundle = self._make_id(), self._classifier.bundle
        with self.turn():
            with self._spans.part("decode"), metrics.decode_seconds.time():
                array, image = read_image(picture, bundle.input, self._settings.max_pixels)
                small = thumbnail(image) if self._settings.thumbnails else None
            with self._spans.part("inference"), metrics.inference_seconds.time():
                scores = self._classifier.classify(array)
            if not np.isfinite(scores).all():
                raise InvalidRequest("the model has no finite scores for these numbers")
        return Prediction(id, file_name, self._classifier.top(scores), bundle.name, bundle.version), small, scores
