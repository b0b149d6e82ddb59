"""The rows of frames that count as judged, with the weight of each."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from lookbook.judgment import GroundTruth
from lookbook.truth.frame import Frame

UNCLEAR = -1
UNSETTLED = -2


class Judged:
    """The n rows of several frames together, in their order, and the m of them that count as judged.

    In each frame, the judged rows with a smaller key than the first unsettled row count. They are a random sample
    whenever people stop, and whatever else they judge: rows judged out of turn count once the order reaches them.
    """

    def __init__(self, frames: Sequence[Frame], truths: Mapping[UUID, GroundTruth]) -> None:
        self.frames = frames
        known = {id.bytes: truth.label for id, truth in truths.items()}
        ids = [id for frame in frames for id in frame.ids.tolist()]
        found = [known.get(id, UNSETTLED) for id in ids]
        named = {label for label in known.values() if label is not None}
        self.labels = tuple(sorted(named.union(*(frame.scores.labels for frame in frames))))
        code: dict[str | int | None, int] = {label: number for number, label in enumerate(self.labels)}
        code |= {None: UNCLEAR, UNSETTLED: UNSETTLED}
        self.truth = np.array([code[label] for label in found], np.int64)  # (n,) index into labels, or one of the above
        self.label = _join([_recode(frame, code) for frame in frames], np.int64)  # (n,) what the model said
        self.score = _join([frame.scores.score for frame in frames])  # (n,)
        self.inclusion = _join([frame.scores.inclusion for frame in frames])  # (n,)
        self.key = _join([frame.key for frame in frames])  # (n,) the order of review
        self.frame = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])  # (n,) index into frames

    @cached_property
    def settled(self) -> NDArray[np.bool_]:
        """(n,) Whether the row is judged, even if it does not count."""
        return np.not_equal(self.truth, UNSETTLED)

    @cached_property
    def first_unsettled(self) -> NDArray[np.float64]:
        """The smallest key of each frame that is not settled; infinite if all are."""
        first = np.full(len(self.frames), np.inf)
        np.minimum.at(first, self.frame[~self.settled], self.key[~self.settled])
        return first

    @cached_property
    def counted(self) -> NDArray[np.intp]:
        """(m,) The rows that count."""
        return np.flatnonzero(self.key < self.first_unsettled[self.frame])

    @cached_property
    def weight(self) -> NDArray[np.float64]:
        """(m,) How many predictions each row that counts stands for."""
        rows = self.counted
        size = _join([frame.size for frame in self.frames])[rows]
        probability: NDArray[np.float64] = np.minimum(
            self.inclusion[rows], size * self.first_unsettled[self.frame[rows]]
        )
        return 1 / probability

    def id(self, row: int) -> UUID:
        """The ID of one of the n rows."""
        number = int(self.frame[row])
        return self.frames[number].id(row - int(np.searchsorted(self.frame, number)))


def _recode(frame: Frame, code: Mapping[str | int | None, int]) -> NDArray[np.int64]:
    return np.array([code[label] for label in frame.scores.labels], np.int64)[frame.scores.label]


def _join(parts: list[NDArray[Any]], kind: type = np.float64) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, kind)
