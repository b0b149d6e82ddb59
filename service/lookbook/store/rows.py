"""Predictions as columns, for reading the whole store. Tests: tests/unit/test_scan.py."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from lookbook.errors import StoreUnavailable
from lookbook.judgment import Judgment
from lookbook.prediction import Prediction, created_at, first_id, sort_key

BATCH_ROWS = 10_000  # of one read

_ATTEMPTS, _PAUSE_SECONDS = 15, 2.0
_EPOCH = np.uint64(first_id(datetime(1970, 1, 1, tzinfo=UTC)).time)

# A sort_key() begins with the timestamp; UUID.bytes has the same bytes in another order.
_FROM_KEY = [4, 5, 6, 7, 2, 3, 0, 1, *range(8, 16)]
_TO_KEY = [6, 7, 4, 5, 0, 1, 2, 3, *range(8, 16)]
_VERSION, _SIGN = 0x10, 0x80


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of equal length, newest first, and all judgments of these predictions.

    `ids` has 16 bytes for each, as UUID.bytes; labels are best first.
    """

    ids: bytes
    file_names: list[str]
    labels: list[list[str]]
    scores: list[list[float]]
    model_names: list[str]
    model_versions: list[str]
    judgments: Sequence[Judgment] = ()

    def __len__(self) -> int:
        return len(self.file_names)

    def predictions(self) -> Iterator[Prediction]:
        """The same rows as objects; this takes several times as long."""
        ids = (UUID(bytes=self.ids[start : start + 16]) for start in range(0, len(self.ids), 16))
        columns = (ids, self.file_names, self.labels, self.scores, self.model_names, self.model_versions)
        for id, file_name, labels, scores, *model in zip(*columns, strict=True):
            yield Prediction(id, file_name, tuple(zip(labels, scores, strict=True)), *model)

    def judgments_by_id(self) -> dict[UUID, tuple[Judgment, ...]]:
        """The judgments of each prediction that has any, newest first."""
        found: dict[UUID, tuple[Judgment, ...]] = {}
        for judgment in sorted(self.judgments, key=lambda judgment: sort_key(judgment.id), reverse=True):
            found[judgment.prediction] = (*found.get(judgment.prediction, ()), judgment)
        return found


def build_rows(ids: bytes, columns: Iterable[Sequence[str]], judgments: Sequence[Judgment]) -> Rows:
    """`columns` are file names, labels and scores as JSON arrays, model names, and model versions."""
    file_names, labels, scores, names, versions = columns
    return Rows(
        ids,
        list(file_names),
        list(map(_labels, labels)),
        json.loads(f"[{','.join(scores)}]"),
        list(names),
        list(versions),
        judgments,
    )


@lru_cache(10_000)
def _labels(text: str) -> list[str]:
    """Cached, because a few combinations of labels make up most rows."""
    labels: list[str] = json.loads(text)
    return labels


def scan_patiently(
    scan: Callable[[UUID | None, UUID | None], Iterator[Rows]], since: UUID | None = None, until: UUID | None = None
) -> Iterator[Rows]:
    """What Store.scan() gives, for a program that can wait while the store is unavailable for a moment."""
    failures = 0
    while True:
        try:
            for rows in scan(since, until):
                yield rows
                until, failures = UUID(bytes=rows.ids[-16:]), 0
            return
        except StoreUnavailable:
            failures += 1
            if failures == _ATTEMPTS:
                raise
        time.sleep(_PAUSE_SECONDS)


def split(lowest: UUID, highest: UUID, count: int) -> list[tuple[UUID, UUID]]:
    """At most `count` equal spans of time, as bounds of ids, that cover `lowest`, `highest`, and everything between."""
    start, end = created_at(lowest), created_at(highest) + timedelta(microseconds=1)
    step = max((end - start) / count, timedelta(microseconds=1))
    moments = [start + number * step for number in range(count) if start + number * step < end]
    ids = [first_id(moment) for moment in (*moments, end)]
    return list(pairwise(ids))


def times(ids: bytes) -> NDArray[np.int64]:
    """The time of each id in microseconds since 1970."""
    return ((sort_keys(ids)[:, 0] - _EPOCH) // np.uint64(10)).astype(np.int64)


def ids_of(keys: Iterable[bytes]) -> bytes:
    """The ids with these sort keys."""
    ids = _sixteens(b"".join(keys))[:, _FROM_KEY]
    ids[:, 6] |= _VERSION
    ids[:, 8:] ^= _SIGN
    return ids.tobytes()


def sort_keys(ids: bytes) -> NDArray[np.uint64]:
    """A sort_key() for each id, as two numbers: shape (n, 2)."""
    keys = np.ascontiguousarray(_sixteens(ids)[:, _TO_KEY])
    keys[:, 0] &= 0x0F
    keys[:, 8:] ^= _SIGN
    return keys.view(">u8").astype(np.uint64)


def _sixteens(joined: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(joined, np.uint8).reshape(-1, 16)
