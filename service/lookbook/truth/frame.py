"""A frame: the sampled predictions of a day and version that everything else is computed from."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

FRAME_ROWS = 1000

_FORMAT = 1
_SCORES = struct.Struct("<BII")  # format, rows, bytes of the labels
_IDS = struct.Struct("<BId")  # format, rows, limit


class Row(Protocol):
    """A sampled prediction, such as a store's Sample."""

    @property
    def id(self) -> UUID: ...
    @property
    def u(self) -> float: ...
    @property
    def label(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def rate(self) -> float: ...


@dataclass(frozen=True)
class Scores:
    """What a model said about the n rows of a frame: all that drift needs."""

    labels: tuple[str, ...]  # each that occurs, sorted
    label: NDArray[np.uint16]  # (n,) index into `labels`
    score: NDArray[np.float64]  # (n,) from 0 to 1
    inclusion: NDArray[np.float64]  # (n,) the probability with which the row came into the frame, above 0

    def __len__(self) -> int:
        return len(self.score)

    @cached_property
    def weight(self) -> NDArray[np.float64]:
        """(n,) how many predictions of the day each row stands for."""
        return 1 / self.inclusion


@dataclass(frozen=True)
class Frame:
    """The `FRAME_ROWS` sampled predictions of a day with the smallest u, in the order of u."""

    day: int  # days since 1970, UTC
    scores: Scores
    ids: NDArray[np.void]  # (n,) 16 bytes each, as UUID.bytes
    u: NDArray[np.float64]  # (n,) ascending, see prediction.permanent_random
    limit: float  # the u of the first row that did not fit, 1 if all did

    def __len__(self) -> int:
        return len(self.u)

    @property
    def is_cut_off(self) -> bool:
        """Whether more was sampled on that day than fits."""
        return self.limit < 1

    @cached_property
    def size(self) -> NDArray[np.float64]:
        """(n,) q, see size_of()."""
        return size_of(self.scores.score)

    @cached_property
    def key(self) -> NDArray[np.float64]:
        """(n,) the order of review: smallest first."""
        return self.u / self.size

    def id(self, row: int) -> UUID:
        return UUID(bytes=self.ids[row].tobytes())


def size_of(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """How likely a row is to be reviewed early: a sure prediction a quarter as likely as an unsure one.

    Never change it: the days that are reviewed already could no longer be evaluated.
    """
    return np.clip(2 * (1 - score), 0.25, 1.0)


def build_frame(day: int, samples: Sequence[Row], rows: int = FRAME_ROWS) -> Frame:
    """The frame of a day from all its samples, or from at least the `rows` + 1 with the smallest u, in any order."""
    ordered = sorted(samples, key=lambda sample: (sample.u, sample.id.bytes))
    limit = ordered[rows].u if len(ordered) > rows else 1.0
    kept = ordered[:rows]
    labels = tuple(sorted({row.label for row in kept}))
    index = {label: number for number, label in enumerate(labels)}
    scores = Scores(
        labels,
        np.array([index[row.label] for row in kept], np.uint16),
        np.array([row.score for row in kept], np.float64),
        np.minimum(np.array([row.rate for row in kept], np.float64), limit),
    )
    ids = np.frombuffer(b"".join(row.id.bytes for row in kept), "V16")
    return Frame(day, scores, ids, np.array([row.u for row in kept], np.float64), limit)


def encode(frame: Frame) -> tuple[bytes, bytes]:
    """The frame as two blobs, scores and ids; the first is enough for decode_scores()."""
    scores = frame.scores
    labels = json.dumps(scores.labels).encode()
    columns = (scores.label.astype("<u2"), scores.score.astype("<f8"), scores.inclusion.astype("<f8"))
    head = _SCORES.pack(_FORMAT, len(frame), len(labels))
    first = head + labels + b"".join(column.tobytes() for column in columns)
    second = _IDS.pack(_FORMAT, len(frame), frame.limit) + frame.u.astype("<f8").tobytes() + frame.ids.tobytes()
    return first, second


def decode(day: int, scores: bytes, ids: bytes) -> Frame:
    """The frame that encode() wrote. Raises ValueError for a format of another version."""
    format, rows, limit = _IDS.unpack_from(ids)
    _check(format)
    u = np.frombuffer(ids, "<f8", rows, _IDS.size)
    return Frame(day, decode_scores(scores), np.frombuffer(ids, "V16", rows, _IDS.size + 8 * rows), u, limit)


def decode_scores(blob: bytes) -> Scores:
    """The scores that encode() wrote. Raises ValueError for a format of another version."""
    format, rows, length = _SCORES.unpack_from(blob)
    _check(format)
    start = _SCORES.size + length
    return Scores(
        tuple(json.loads(blob[_SCORES.size : start])),
        np.frombuffer(blob, "<u2", rows, start),
        np.frombuffer(blob, "<f8", rows, start + 2 * rows),
        np.frombuffer(blob, "<f8", rows, start + 10 * rows),
    )


def _check(format: int) -> None:
    if format != _FORMAT:
        raise ValueError(f"Cannot read a frame of format {format}: this version reads format {_FORMAT}")
