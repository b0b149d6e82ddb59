"""Inputs to which two models give different labels, judged: which model is right more often?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from math import inf, sqrt
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from lookbook.judgment import GroundTruth
from lookbook.truth.accuracy import LEAST_JUDGED, effective_size
from lookbook.truth.special import Z, sign_test, wilson

SIGNIFICANT = 0.05

_EXACT = 12  # discordant pairs up to which all their signs are tried
_DRAWS = 9_999


@dataclass(frozen=True, slots=True)
class Pair:
    """A sampled input and the labels that two models give it: a flip if they differ."""

    id: UUID
    u: float
    inclusion: float  # the probability with which it came into the frame
    baseline: str
    candidate: str

    @property
    def is_flip(self) -> bool:
        return self.baseline != self.candidate


@dataclass(frozen=True, slots=True)
class Difference:
    """The candidate's accuracy less the baseline's, with a 95% interval."""

    estimate: float
    interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        return {"estimate": self.estimate, "confidence_interval": list(self.interval)}


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Whether judged flips favor one model: how many only one of them got right, and the two-sided p-value.

    McNemar's exact test; if the flips were sampled with different probabilities, the weighted sign-flip test.
    """

    baseline_only: int
    candidate_only: int
    favor: float  # weighted; below 0 for the baseline
    p_value: float

    @property
    def is_significant(self) -> bool:
        return self.p_value < SIGNIFICANT

    def to_json(self) -> dict[str, Any]:
        return {
            "baseline_only": self.baseline_only,
            "candidate_only": self.candidate_only,
            "p_value": self.p_value,
        }


class Flips:
    """Flips and their ground truths. They are judged in the order of u; those before the first open one count.

    Where the models agree, neither is better, so flips alone decide. `share` is the share of flips among all
    predictions, found in pairs that are worth `size` of equal weight.
    """

    def __init__(self, flips: Sequence[Pair], truths: Mapping[UUID, GroundTruth], share: float, size: float) -> None:
        self.flips = sorted(flips, key=lambda flip: (flip.u, flip.id.bytes))
        self._truths, self._share, self._size = truths, share, size

    @cached_property
    def counted(self) -> list[Pair]:
        return list(takewhile(lambda flip: flip.id in self._truths, self.flips))

    @property
    def unclear(self) -> int:
        return sum(self._truths[flip.id].label is None for flip in self.counted)

    @cached_property
    def difference(self) -> Difference | None:
        """None if too few flips are judged. Without flips, 0, with an interval that follows from the number of pairs.

        The interval allows for all unclear flips favoring either model.
        """
        if not self.flips and self._size > 0:
            most = wilson(0.0, self._size)[1]
            return Difference(0.0, (-most, most))
        if len(self.counted) < LEAST_JUDGED:
            return None
        low, high = (self._difference(self._gains(unclear)) for unclear in (-1, 1))
        return Difference((low.estimate + high.estimate) / 2, (low.interval[0], high.interval[1]))

    @cached_property
    def test(self) -> PairedTest:
        """The test of the judged flips; unclear ones favor neither model."""
        gains, weight = self._gains(0), self._weight
        wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
        equal = len(weight) == 0 or float(np.ptp(weight)) <= 1e-9 * float(weight.max())
        p_value = sign_test(wins, losses) if equal else sign_flip_test((gains * weight)[gains != 0])
        return PairedTest(losses, wins, float((gains * weight).sum()), p_value)

    @property
    def is_worse(self) -> bool:
        """Whether the candidate is significantly worse."""
        return self.test.is_significant and self.test.favor < 0

    def to_json(self) -> dict[str, Any]:
        return {
            "flips_to_judge": len(self.flips),
            "judged": len(self.counted),
            "unclear": self.unclear,
            "accuracy_difference": self.difference.to_json() if self.difference else None,
            "mcnemar": self.test.to_json(),
            "worse": self.is_worse,
        }

    @cached_property
    def _weight(self) -> NDArray[np.float64]:
        """Of each that counts; the first open flip caps the probability of being judged."""
        cap = self.flips[len(self.counted)].u if len(self.counted) < len(self.flips) else inf
        return np.array([1 / min(flip.inclusion, cap) for flip in self.counted])

    def _gains(self, unclear: int) -> NDArray[np.float64]:
        """For each flip that counts, 1 if the candidate is right, -1 if the baseline is, and 0 if both are wrong."""
        truths = [self._truths[flip.id].label for flip in self.counted]
        return np.array(
            [
                float(unclear) if truth is None else float(truth == flip.candidate) - float(truth == flip.baseline)
                for truth, flip in zip(truths, self.counted, strict=True)
            ]
        )

    def _difference(self, gains: NDArray[np.float64]) -> Difference:
        weight, share = self._weight, self._share
        mean = float((weight * gains).sum() / weight.sum())
        size, spread = effective_size(weight), float((weight * (gains - mean) ** 2).sum() / weight.sum())
        of_flips, of_share = share**2 * (spread + 1 / size) / size, mean**2 * share * (1 - share) / self._size
        half = Z * sqrt(of_flips + of_share)
        return Difference(share * mean, (max(-1.0, share * mean - half), min(1.0, share * mean + half)))


def sign_flip_test(gains: NDArray[np.float64]) -> float:
    """The two-sided p-value of the sum of weighted gains (n,), none of them 0, if each sign were a coin toss."""
    if len(gains) == 0:
        return 1.0
    least = abs(float(gains.sum())) * (1 - 1e-9)
    if len(gains) <= _EXACT:
        signs = 1 - 2 * (np.arange(1 << len(gains))[:, None] >> np.arange(len(gains)) & 1)
        return float((np.abs(signs @ gains) >= least).mean())
    rng = np.random.default_rng(0)  # the same gains always have the same p-value
    found = sum(
        int((np.abs(rng.choice((-1.0, 1.0), (_DRAWS // 9, len(gains))) @ gains) >= least).sum()) for _ in range(9)
    )
    return (1 + found) / (1 + _DRAWS)
