"""From an upload to a stored prediction."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from service import metrics
from service.errors import Busy, Gone, IdempotencyKeyReused, StoreUnavailable
from service.inference import Classifier
from service.prediction import Prediction, id_maker
from service.preprocessing import decode, thumbnail, to_array
from service.settings import Settings
from service.store import TIMEOUT, Store
from service.uploads import Upload


class Pipeline:
    """Decodes, classifies and stores; what it returns is stored."""

    def __init__(self, settings: Settings, classifier: Classifier, store: Store) -> None:
        self._settings = settings
        self._classifier = classifier
        self._store = store
        self._make_id: Callable[[], UUID] = id_maker(settings.shards)
        # Decoding, too: it is what takes the memory.
        slots = settings.max_inferences
        self._slots = threading.Lock() if slots == 1 else threading.BoundedSemaphore(slots)
        self._key_locks = [threading.Lock() for _ in range(64)]

    def answer(self, upload: Upload, key: str | None) -> tuple[Prediction, bool]:
        """The stored prediction, and whether an earlier request with the same key had stored it.

        Raises the errors of decode(), IdempotencyKeyReused, Gone, Busy and StoreUnavailable.
        """
        away = self._store.away()
        if away:
            # Decoding for nothing would look like work to the autoscaler.
            raise StoreUnavailable(f"the store is away: {away}")
        if key is None:
            prediction, picture = self._predict(upload, self._make_id())
            with metrics.store_seconds.time():
                self._store.put(prediction, picture)
            metrics.predictions.labels(prediction.label).inc()
            return prediction, False
        return self._answer_once(upload, key)

    def _answer_once(self, upload: Upload, key: str) -> tuple[Prediction, bool]:
        """Every request with the key writes to one id, so one killed half-way leaves the next to finish."""
        digest = hashlib.sha256(upload.data).digest()
        # Decoded before the key is claimed: a picture that is refused must not use it up.
        prediction, picture = self._predict(upload, self._make_id())
        # One at a time in this process: lightweight transactions on one row get in each other's way.
        lock = self._key_locks[hash(key) % len(self._key_locks)]
        waited = not lock.acquire(blocking=False)
        if waited and not lock.acquire(timeout=TIMEOUT):
            raise Busy("other requests with this Idempotency-Key are under way")
        try:
            failure = self._store.state()
            if waited and failure:
                # The one waited for has just found out; to try again would take as long once more.
                raise StoreUnavailable(f"the store is away: {failure}")
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
            if self._store.deleted(id):
                raise Gone("the record of this Idempotency-Key was deleted; use another key")
        candidate = replace(prediction, id=id)
        with metrics.store_seconds.time():
            standing = self._store.put_if_absent(candidate, picture)
        if standing is candidate:
            metrics.predictions.labels(standing.label).inc()
        return standing, standing is not candidate

    def _predict(self, upload: Upload, id: UUID) -> tuple[Prediction, bytes | None]:
        bundle = self._classifier.bundle
        metrics.queued.inc()
        with self._slots:
            metrics.queued.dec()
            with metrics.decode_seconds.time():
                image = decode(upload.data, bundle.input, self._settings.max_pixels)
                array = to_array(image, bundle.input)
                picture = thumbnail(image) if self._settings.thumbnails else None
            with metrics.inference_seconds.time():
                top = self._classifier.top(self._classifier.classify(array))
        return Prediction(id, upload.file_name, top, bundle.name, bundle.version), picture
