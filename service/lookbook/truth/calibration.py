"""Whether scores are what they say: of the predictions with a score of 0.8, are 80% right?"""

from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookbook.truth.accuracy import LEAST_JUDGED, Numbers, effective_size
from lookbook.truth.special import wilson

_MOST_BINS = 10
_ROWS_PER_BIN = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of similar score: their mean score, the share that is right with its interval, and their number."""

    score: float
    accuracy: float
    interval: tuple[float, float]
    n: int

    def to_json(self) -> dict[str, Any]:
        return {
            "score": self.score,
            "accuracy": self.accuracy,
            "confidence_interval": list(self.interval),
            "n": self.n,
        }


@dataclass(frozen=True, slots=True)
class Calibration:
    """`error` is the expected calibration error above what chance alone would show.

    `line` holds intercept and slope of Cox's regression, 0 and 1 if scores are calibrated; a slope below 1 means
    overconfident. None if too few rows are right or wrong.
    """

    bins: tuple[Bin, ...]
    error: float
    brier_score: float
    line: tuple[float, float] | None


def calibrate(score: Numbers, right: Numbers, weight: Numbers) -> Calibration | None:
    """The calibration of judged rows (m,) that are clear; None if they are too few."""
    if len(score) < LEAST_JUDGED:
        return None
    parts = _parts(score, weight)
    bins = tuple(_bin(score[rows], right[rows], weight[rows]) for rows in parts)
    excess = sum(_excess(score[rows], right[rows], weight[rows]) for rows in parts) / float(weight.sum())
    brier = float((weight * (score - right) ** 2).sum() / weight.sum())
    return Calibration(bins, max(0.0, excess), brier, cox(score, right, weight))


def cox(score: Numbers, right: Numbers, weight: Numbers) -> tuple[float, float] | None:
    """Intercept and slope of the logistic regression of being right on logit(score)."""
    if min(right.sum(), (1 - right).sum()) < LEAST_JUDGED:
        return None
    clipped = np.clip(score, 1e-4, 1 - 1e-4)
    x = np.column_stack((np.ones(len(score)), np.log(clipped / (1 - clipped))))
    line, w = np.array([0.0, 1.0]), weight / weight.mean()
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ line, -30, 30)))
        curvature = (x.T * (w * p * (1 - p))) @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, x.T @ (w * (right - p)))
        line = line + step * min(1.0, 2 / max(float(np.abs(step).max()), 1e-12))  # far steps overshoot
        if np.abs(step).max() < 1e-8:
            return float(line[0]), float(line[1])
    return None


def _parts(score: Numbers, weight: Numbers) -> list[NDArray[np.intp]]:
    """Positions in the order of the score, in bins of about equal weight."""
    order = np.argsort(score, kind="stable")
    number = min(_MOST_BINS, max(1, len(score) // _ROWS_PER_BIN))
    middle = np.cumsum(weight[order]) - weight[order] / 2
    place = np.minimum((middle / weight.sum() * number).astype(int), number - 1)
    return [order[place == part] for part in np.unique(place)]


def _bin(score: Numbers, right: Numbers, weight: Numbers) -> Bin:
    share = min(float((weight * right).sum() / weight.sum()), 1.0)
    mean = float((weight * score).sum() / weight.sum())
    return Bin(mean, share, wilson(share, effective_size(weight)), len(score))


def _excess(score: Numbers, right: Numbers, weight: Numbers) -> float:
    """The bin's weighted calibration error less the mean that calibrated scores would show by chance."""
    chance = sqrt(2 / pi * float((weight**2 * score * (1 - score)).sum()))
    return abs(float((weight * (right - score)).sum())) - chance
