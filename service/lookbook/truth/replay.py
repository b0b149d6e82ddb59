"""What another model says about the same inputs, and whether it is better or worse."""

from collections import Counter
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
from lookbook.truth.accuracy import LEAST_JUDGED, Share, effective_size, ratio
from lookbook.truth.special import Z, sign_test

SCORE_TOLERANCE = 0.02  # within which a replay of the stored model repeats its score
SIGNIFICANT = 0.05

_EXACT = 12  # discordant pairs up to which all their signs are tried
_DRAWS = 9_999


@dataclass(frozen=True, slots=True)
class Pair:
    """A sampled input and the labels that two models give it."""

    id: UUID
    u: float
    inclusion: float  # the probability with which it came into the frame
    baseline: str
    candidate: str


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


class Replay:
    """Two models on the same inputs.

    Only flips, inputs with two labels, need judgments, in the order of u; those before the first that is not judged
    count. Where the models agree, neither is better.
    """

    def __init__(self, pairs: Sequence[Pair], truths: Mapping[UUID, GroundTruth]) -> None:
        self.pairs = pairs
        flips = [pair for pair in pairs if pair.baseline != pair.candidate]
        self.flips = sorted(flips, key=lambda pair: (pair.u, pair.id.bytes))
        self._truths = truths

    @cached_property
    def agreement(self) -> Share | None:
        """The share of predictions with the same label; None without pairs."""
        if not self.pairs:
            return None
        same = np.array([pair.baseline == pair.candidate for pair in self.pairs])
        return ratio(same, self._weight, float(self._weight.sum()))

    def flips_by_label(self) -> list[tuple[str, str, int, float]]:
        """(baseline, candidate, rows, share of all predictions), the largest share first."""
        rows = Counter((flip.baseline, flip.candidate) for flip in self.flips)
        shares: Counter[tuple[str, str]] = Counter()
        for flip in self.flips:
            shares[flip.baseline, flip.candidate] += 1 / flip.inclusion / self._weight.sum()
        return [(*labels, rows[labels], float(share)) for labels, share in shares.most_common()]

    @property
    def judged(self) -> int:
        """Flips that count."""
        return len(self._judged)

    @property
    def unclear(self) -> int:
        return sum(self._truths[flip.id].label is None for flip in self._judged)

    @cached_property
    def difference(self) -> Difference | None:
        """None if too few flips are judged. Without flips, 0, with an interval that follows from the number of pairs.

        The interval allows for all unclear flips favoring either model.
        """
        if self.agreement and not self.flips:
            most = 1 - self.agreement.interval[0]
            return Difference(0.0, (-most, most))
        if self.judged < LEAST_JUDGED:
            return None
        low, high = (self._difference(self._gains(unclear)) for unclear in (-1, 1))
        return Difference((low.estimate + high.estimate) / 2, (low.interval[0], high.interval[1]))

    @cached_property
    def test(self) -> PairedTest:
        """The test of the judged flips; unclear ones favor neither model."""
        gains, weight = self._gains(0), self._judged_weight
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
            "pairs": len(self.pairs),
            "agreement": self.agreement.to_json() if self.agreement else None,
            "flips": [
                {"baseline": baseline, "candidate": candidate, "count": rows, "share": share}
                for baseline, candidate, rows, share in self.flips_by_label()
            ],
            "flips_to_judge": len(self.flips),
            "judged": self.judged,
            "unclear": self.unclear,
            "accuracy_difference": self.difference.to_json() if self.difference else None,
            "mcnemar": self.test.to_json(),
            "worse": self.is_worse,
        }

    @cached_property
    def _weight(self) -> NDArray[np.float64]:
        return np.array([1 / pair.inclusion for pair in self.pairs])

    @cached_property
    def _judged(self) -> list[Pair]:
        return list(takewhile(lambda flip: flip.id in self._truths, self.flips))

    @cached_property
    def _judged_weight(self) -> NDArray[np.float64]:
        """Flips are judged in the order of u up to the first open one, which caps their probability."""
        cap = self.flips[self.judged].u if self.judged < len(self.flips) else inf
        return np.array([1 / min(flip.inclusion, cap) for flip in self._judged])

    def _gains(self, unclear: int) -> NDArray[np.float64]:
        """For each judged flip, 1 if the candidate is right, -1 if the baseline is, and 0 if both are wrong."""
        truths = [self._truths[flip.id].label for flip in self._judged]
        return np.array(
            [
                float(unclear) if truth is None else float(truth == flip.candidate) - float(truth == flip.baseline)
                for truth, flip in zip(truths, self._judged, strict=True)
            ]
        )

    def _difference(self, gains: NDArray[np.float64]) -> Difference:
        weight, flipped = self._judged_weight, np.array([pair.baseline != pair.candidate for pair in self.pairs])
        share = float(self._weight[flipped].sum() / self._weight.sum())
        mean = float((weight * gains).sum() / weight.sum())
        size, spread = effective_size(weight), float((weight * (gains - mean) ** 2).sum() / weight.sum())
        of_flips = share**2 * (spread + 1 / size) / size
        of_share = mean**2 * share * (1 - share) / effective_size(self._weight)
        half = Z * sqrt(of_flips + of_share)
        return Difference(share * mean, (max(-1.0, share * mean - half), min(1.0, share * mean + half)))


def is_faithful(stored: tuple[str, float], replayed: tuple[str, float]) -> bool:
    """Whether the stored model repeats its own (label, score), so that a replay compares what it should."""
    return stored[0] == replayed[0] and abs(stored[1] - replayed[1]) <= SCORE_TOLERANCE


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
