"""What another model says about the inputs of a sample."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from lookbook.judgment import GroundTruth
from lookbook.truth.accuracy import Share, proportion
from lookbook.truth.flips import Flips, Pair

SCORE_TOLERANCE = 0.02  # within which a replay of the stored model repeats its score

Labels = tuple[str, str]  # of the baseline and of the candidate


@dataclass(slots=True)
class Sums:
    """What pairs add up to, each with the weight 1 / inclusion. `flips` has the number and weight for each labels."""

    pairs: int = 0
    weight: float = 0.0
    squared_weight: float = 0.0
    flips: dict[Labels, tuple[int, float]] = field(default_factory=dict)

    def add(self, pair: Pair) -> None:
        weight = 1 / pair.inclusion
        flips = {(pair.baseline, pair.candidate): (1, weight)} if pair.is_flip else {}
        self.merge(Sums(1, weight, weight**2, flips))

    def merge(self, other: "Sums") -> None:
        self.pairs += other.pairs
        self.weight += other.weight
        self.squared_weight += other.squared_weight
        for labels, (count, weight) in other.flips.items():
            before = self.flips.get(labels, (0, 0.0))
            self.flips[labels] = before[0] + count, before[1] + weight

    @property
    def flip_count(self) -> int:
        return sum(count for count, _ in self.flips.values())

    @property
    def flip_share(self) -> float:
        """The share of flips among all predictions."""
        return sum(weight for _, weight in self.flips.values()) / self.weight if self.pairs else 0.0

    @property
    def effective_size(self) -> float:
        """As accuracy.effective_size()."""
        return self.weight**2 / self.squared_weight if self.pairs else 0.0


class Replay:
    """Two models on the same inputs, with what is known about them."""

    def __init__(self, sums: Sums, flips: Sequence[Pair], truths: Mapping[UUID, GroundTruth]) -> None:
        """`flips` may be only the first ones in the order of review, if `truths` lacks the last of these."""
        self._sums = sums
        self.flips = Flips(flips, truths, sums.flip_share, sums.effective_size)

    @classmethod
    def of(cls, pairs: Iterable[Pair], truths: Mapping[UUID, GroundTruth]) -> "Replay":
        sums, flips = Sums(), []
        for pair in pairs:
            sums.add(pair)
            if pair.is_flip:
                flips.append(pair)
        return cls(sums, flips, truths)

    @cached_property
    def agreement(self) -> Share | None:
        """The share of predictions with the same label; None without pairs."""
        sums = self._sums
        if not sums.pairs:
            return None
        return proportion(max(1 - sums.flip_share, 0.0), sums.effective_size, sums.pairs, sums.weight)

    def flips_by_label(self) -> list[tuple[str, str, int, float]]:
        """(baseline, candidate, rows, share of all predictions), the largest share first."""
        found = [(*labels, count, weight / self._sums.weight) for labels, (count, weight) in self._sums.flips.items()]
        return sorted(found, key=lambda flip: (-flip[3], flip[:2]))

    @property
    def is_worse(self) -> bool:
        """Whether the candidate is significantly worse."""
        return self.flips.is_worse

    def to_json(self) -> dict[str, Any]:
        return {
            "pairs": self._sums.pairs,
            "agreement": self.agreement.to_json() if self.agreement else None,
            "flips": [
                {"baseline": baseline, "candidate": candidate, "count": rows, "share": share}
                for baseline, candidate, rows, share in self.flips_by_label()
            ],
            **self.flips.to_json(),
            "flips_to_judge": self._sums.flip_count,
        }


def is_faithful(stored: tuple[str, float], replayed: tuple[str, float]) -> bool:
    """Whether the stored model repeats its own (label, score), so that a replay compares what it should."""
    return stored[0] == replayed[0] and abs(stored[1] - replayed[1]) <= SCORE_TOLERANCE
