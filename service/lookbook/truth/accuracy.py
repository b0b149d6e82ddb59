"""A share of right predictions with its 95% interval, from judged rows and the scores of all rows."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookbook.truth.special import wilson

LEAST_JUDGED = 5  # with fewer, the intervals are not reliable
_LEAST_CHANCE = 0.05  # of being right, and of being wrong, that variances assume
_TUNED = 50  # judgments from which the weight of the scores is estimated

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Share:
    """A share from 0 to 1 of `support` predictions, estimated from n judgments."""

    estimate: float
    interval: tuple[float, float]
    standard_error: float
    effective_sample_size: float
    n: int
    support: float

    def to_json(self) -> dict[str, Any]:
        return {
            "estimate": self.estimate,
            "confidence_interval": list(self.interval),
            "standard_error": self.standard_error,
            "effective_sample_size": self.effective_sample_size,
            "n": self.n,
            "support": self.support,
        }


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a frame, (n,), and the judged ones among them, (m,)."""

    score: Numbers  # (n,)
    inclusion: Numbers  # (n,) probability of being in the frame
    judged: NDArray[np.intp]  # (m,) positions of the judged rows
    weight: Numbers  # (m,) 1 / probability of being judged

    def where(self, rows: NDArray[np.bool_]) -> "Rows":
        """Only these of the n rows."""
        position = np.cumsum(rows) - 1
        mine = rows[self.judged]
        return Rows(self.score[rows], self.inclusion[rows], position[self.judged[mine]], self.weight[mine])

    @property
    def population(self) -> float:
        """How many predictions the rows stand for."""
        return float((1 / self.inclusion).sum())

    @property
    def mean_score(self) -> float | None:
        """The mean score of the predictions that the rows stand for; None if there are no rows."""
        return _mean(self.score, 1 / self.inclusion) if len(self.score) else None


def share_right(rows: Rows, right: Numbers) -> Share:
    """The share of right predictions; `right` (m,) is 1 where the judged row is right, and 0 where it is wrong.

    The mean score of all rows, corrected by the judged ones (difference estimator, PPI++). The variance treats
    the rows as drawn from endless traffic, so that the interval describes the traffic and not only these days.
    """
    score, weight = rows.score[rows.judged], rows.weight
    total, kish = float(weight.sum()), effective_size(weight)
    mean, mean_score = _mean(right, weight), _mean(score, weight)
    factor = _score_factor(right - mean, score - mean_score, weight)
    error = right - factor * score
    error_mean = mean - factor * mean_score
    estimate = min(max(factor * _mean(rows.score, 1 / rows.inclusion) + error_mean, 0.0), 1.0)
    later = np.maximum(1 - 1 / (weight * rows.inclusion[rows.judged]), 0)  # not judged, though in the frame
    once, chance = weight / rows.inclusion[rows.judged], _chance(score)
    seen = float((later * (weight * (error - error_mean)) ** 2 + once * (right - mean) ** 2).sum())
    least = float(((later * weight * weight + once) * chance * (1 - chance)).sum())
    variance = max(seen, least) / total**2
    likely = _chance(estimate)  # or the interval would grow without limit as the estimate nears 0 or 1
    size = min(likely * (1 - likely) / variance, 4 * kish) if 0 < estimate < 1 else kish
    return Share(estimate, wilson(estimate, size), sqrt(variance), size, len(right), rows.population)


def ratio(hit: NDArray[np.bool_], weight: Numbers, support: float) -> Share:
    """The share of hits among judged rows (m,) of these weights, about which the model's scores say nothing."""
    return proportion(min(_mean(hit, weight), 1.0), effective_size(weight), len(hit), support)


def proportion(estimate: float, size: float, n: int, support: float) -> Share:
    """The share `estimate`, found in `n` rows that are worth `size` of equal weight."""
    error = sqrt(estimate * (1 - estimate) / size)
    return Share(estimate, wilson(estimate, size), error, size, n, support)


def either(low: Share, high: Share) -> Share:
    """The share if it may be either of two: the middle of the estimates, and the union of the intervals."""
    return Share(
        (low.estimate + high.estimate) / 2,
        (min(low.interval[0], high.interval[0]), max(low.interval[1], high.interval[1])),
        max(low.standard_error, high.standard_error),
        min(low.effective_sample_size, high.effective_sample_size),
        max(low.n, high.n),
        (low.support + high.support) / 2,
    )


def effective_size(weight: Numbers) -> float:
    """Kish's effective sample size: how many rows of equal weight are worth as much."""
    return float(weight.sum() ** 2 / (weight * weight).sum())


def _score_factor(right: Numbers, score: Numbers, weight: Numbers) -> float:
    """How much to trust the scores, 0 to 1, from centered values."""
    if len(right) < _TUNED:
        return 1.0
    slope = (weight**2 * right * score).sum() / max((weight**2 * score**2).sum(), 1e-9)
    return float(np.clip(slope, 0, 1))


def _chance(value: Any) -> Any:
    return np.clip(value, _LEAST_CHANCE, 1 - _LEAST_CHANCE)


def _mean(values: NDArray[Any], weight: Numbers) -> float:
    return float((weight * values).sum() / weight.sum())
