"""The order in which people judge predictions, and what keeps judgments from counting."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from lookbook.judgment import GroundTruth
from lookbook.truth.frame import Frame
from lookbook.truth.judged import Judged


class Reviews:
    """The predictions of the frames that nobody has judged yet."""

    def __init__(self, frames: Sequence[Frame], truths: Mapping[UUID, GroundTruth]) -> None:
        self._judged = Judged(frames, truths)

    @cached_property
    def _open(self) -> NDArray[np.intp]:
        rows = np.flatnonzero(~self._judged.settled)
        return rows[np.argsort(self._judged.key[rows], kind="stable")]

    @property
    def remaining(self) -> int:
        return len(self._open)

    @property
    def waiting(self) -> int:
        """Judged predictions that do not count yet, because one before them is not judged."""
        return int(self._judged.settled.sum()) - len(self._judged.counted)

    def by_priority(self, count: int) -> list[UUID]:
        """The first `count` in the order of review: their judgments count."""
        return [self._judged.id(row) for row in self._open[:count]]

    def by_score(self, count: int) -> list[UUID]:
        """The `count` least certain: errors are found quickly, but they count only when the order reaches them."""
        order = np.argsort(self._judged.score[self._open], kind="stable")
        return [self._judged.id(row) for row in self._open[order[:count]]]

    @property
    def blocked_by(self) -> UUID | None:
        """The prediction whose judgment would let the most waiting ones count; None if none wait."""
        judged = self._judged
        waits = judged.settled & (judged.key > judged.first_unsettled[judged.frame])
        if not waits.any():
            return None
        frame = int(np.bincount(judged.frame[waits]).argmax())
        return next(judged.id(row) for row in self._open if judged.frame[row] == frame)
