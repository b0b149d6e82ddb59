"""Which predictions are sampled when they are written. Each worker decides on its own."""

import threading
from uuid import UUID

from lookbook.prediction import bucket, permanent_random

SAMPLE_SIZE = 20  # rows that a worker aims at in a bucket; a burst takes 20 (1 + ln(n / 20)) of n


class Sampler:
    """Counts the predictions of one worker, and derives sampling rates from the counts. Safe to use from threads."""

    def __init__(self, size: int = SAMPLE_SIZE) -> None:
        self._size = size
        self._bucket = self._count = self._previous = 0
        self._lock = threading.Lock()

    def rate(self, id: UUID) -> float:
        """Count this prediction; return the probability, above 0 and at most 1, with which it belongs to the sample.

        The rate depends only on counts, never on what was predicted, so that estimates may divide by it.
        """
        now = bucket(id)
        with self._lock:
            if now > self._bucket:
                self._previous = self._count if now == self._bucket + 1 else 0
                self._bucket, self._count = now, 0
            self._count += 1  # an ID of an earlier bucket, made before a thread was delayed, counts here
            return min(1.0, self._size / max(self._previous, self._count))


def is_sampled(id: UUID, rate: float) -> bool:
    """Whether the prediction is in the sample: the same for every retry, replay, and worker with this rate."""
    return permanent_random(id) < rate
