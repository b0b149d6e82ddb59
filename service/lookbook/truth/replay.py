"""What another model says about the inputs of a sample."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

import numpy as np

from lookbook.judgment import GroundTruth
from lookbook.truth.accuracy import Share, effective_size, ratio
from lookbook.truth.flips import Flips, Pair

SCORE_TOLERANCE = 0.02  # within which a replay of the stored model repeats its score


class Replay:
    """Two models on the same inputs, with what is known about them."""

    def __init__(self, pairs: Sequence[Pair], truths: Mapping[UUID, GroundTruth]) -> None:
        self.pairs = pairs
        self._weight = np.array([1 / pair.inclusion for pair in pairs])
        self._population = float(self._weight.sum())
        flips = [pair for pair in pairs if pair.is_flip]
        share = sum(1 / flip.inclusion for flip in flips) / self._population if pairs else 0.0
        self.flips = Flips(flips, truths, share, effective_size(self._weight) if pairs else 0.0)

    @cached_property
    def agreement(self) -> Share | None:
        """The share of predictions with the same label; None without pairs."""
        if not self.pairs:
            return None
        return ratio(np.array([not pair.is_flip for pair in self.pairs]), self._weight, self._population)

    def flips_by_label(self) -> list[tuple[str, str, int, float]]:
        """(baseline, candidate, rows, share of all predictions), the largest share first."""
        rows: dict[tuple[str, str], int] = {}
        shares: dict[tuple[str, str], float] = {}
        for flip in self.flips.flips:
            labels = flip.baseline, flip.candidate
            rows[labels] = rows.get(labels, 0) + 1
            shares[labels] = shares.get(labels, 0.0) + 1 / flip.inclusion / self._population
        return sorted(((*labels, rows[labels], shares[labels]) for labels in rows), key=lambda flip: -flip[3])

    @property
    def is_worse(self) -> bool:
        """Whether the candidate is significantly worse."""
        return self.flips.is_worse

    def to_json(self) -> dict[str, Any]:
        return {
            "pairs": len(self.pairs),
            "agreement": self.agreement.to_json() if self.agreement else None,
            "flips": [
                {"baseline": baseline, "candidate": candidate, "count": rows, "share": share}
                for baseline, candidate, rows, share in self.flips_by_label()
            ],
            **self.flips.to_json(),
        }


def is_faithful(stored: tuple[str, float], replayed: tuple[str, float]) -> bool:
    """Whether the stored model repeats its own (label, score), so that a replay compares what it should."""
    return stored[0] == replayed[0] and abs(stored[1] - replayed[1]) <= SCORE_TOLERANCE
