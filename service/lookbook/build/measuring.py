"""How often a Keras model is right with each pixel range. Tests: tests/unit/test_build.py."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Measured(NamedTuple):
    """The labels (numbers) that a model gives to n images, and the true ones."""

    predicted: NDArray[np.int64]
    truth: NDArray[np.int64]

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.equal(self.predicted, self.truth)

    def __str__(self) -> str:
        return f"{100 * self.right.mean():.0f} % of {len(self.truth)} images right"


def likely(measured: Mapping[str, Measured]) -> list[str]:
    """The range that is right most often, and those that only chance may tell from it; none if all might be chance."""
    if not measured:
        return []
    best = max(measured, key=lambda pixels: measured[pixels].right.sum())
    chosen = measured[best]
    # A model that always gives the same label is right as often as the images show it.
    if len(set(chosen.predicted[chosen.right])) < 2:
        return []
    others = [pixels for pixels, other in measured.items() if pixels != best and not _beats(chosen.right, other.right)]
    return [best, *others]


def _beats(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> bool:
    """A sign test over the images where only one is right: a difference of two standard deviations."""
    won, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return won > lost and (won - lost) ** 2 >= 4 * (won + lost)
