"""Sampled predictions and their truths, for the tests of `truth/`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
from lookbook.judgment import GroundTruth
from lookbook.prediction import permanent_random
from lookbook.truth.frame import Frame, build_frame

DAY = 20_454  # 2026-01-01
LABELS = ("Coat", "Dress", "Shirt", "Trouser")


@dataclass(frozen=True, slots=True)
class Row:
    """A sampled prediction, and what its image shows."""

    id: UUID
    label: str
    score: float
    truth: str
    rate: float = 1.0

    @property
    def u(self) -> float:
        return permanent_random(self.id)


def id_at(second: float, rng: np.random.Generator) -> UUID:
    """A time-based ID of this second since 1970, which is the same for the same `rng`."""
    ticks = int(second * 10_000_000) + 0x01B21DD213814000
    high = (ticks & 0xFFFFFFFF) << 32 | (ticks >> 32 & 0xFFFF) << 16 | 0x1000 | ticks >> 48
    return UUID(int=high << 64 | 1 << 63 | int(rng.integers(1 << 62)))


def make_rows(count: int, rng: np.random.Generator, day: int = DAY, rate: float = 1.0) -> list[Row]:
    """Predictions spread over a day with calibrated scores: of those with a score of 0.8, 80% are right."""
    rows = []
    for second in np.sort(rng.random(count)) * 86_400:
        label, other = rng.choice(LABELS, 2, replace=False)
        score = float(np.clip(rng.beta(5, 1), 0.3, 0.999))
        truth = label if rng.random() < score else other
        rows.append(Row(id_at(day * 86_400 + second, rng), str(label), score, str(truth), rate))
    return rows


def truths_of(rows: Iterable[Row]) -> dict[UUID, GroundTruth]:
    return {row.id: truth(row.truth) for row in rows}


def truth(label: str | None) -> GroundTruth:
    return GroundTruth(label, 1, datetime(2026, 1, 2, tzinfo=UTC))


def in_order(frames: Sequence[Frame], count: int) -> list[UUID]:
    """The first `count` IDs in the order of review."""
    keys = sorted((key, number, row) for number, frame in enumerate(frames) for row, key in enumerate(frame.key))
    return [frames[number].id(row) for _, number, row in keys[:count]]


def judge(frames: Sequence[Frame], rows: Iterable[Row], count: int) -> dict[UUID, GroundTruth]:
    """The truths of the first `count` rows in the order of review."""
    known: Mapping[UUID, GroundTruth] = truths_of(rows)
    return {id: known[id] for id in in_order(frames, count)}


def make_frame(rows: Sequence[Row], day: int = DAY) -> Frame:
    return build_frame(day, rows)
