"""Precision and recall of each label, and the confusion matrix."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookbook.truth.accuracy import LEAST_JUDGED, Rows, Share, either, ratio, share_right
from lookbook.truth.judged import UNCLEAR, Judged

_MOST_LABELS = 100  # of the confusion matrix: its size is their square


def accuracy_of(rows: Rows, label: NDArray[np.int64], truth: NDArray[np.int64]) -> Share | None:
    """The share of right predictions among `rows`; None if too few are judged.

    `label` and `truth` (m,) are those of the judged rows. Unclear ones may all be wrong or all be right: dropping
    them would drop the hard ones.
    """
    if len(rows.judged) < LEAST_JUDGED:
        return None
    low = share_right(rows, (truth == label).astype(float))
    unclear = truth == UNCLEAR
    if not unclear.any():
        return low
    return either(low, share_right(rows, ((truth == label) | unclear).astype(float)))


def recall_of(number: int, label: NDArray[np.int64], truth: NDArray[np.int64], rows: Rows) -> Share | None:
    """The share of predictions with this label among the images that show it; None if too few are judged.

    An unclear image may show what the model said, or something else that is not this label.
    """
    shown = truth == number
    if shown.sum() < LEAST_JUDGED:
        return None
    scale = rows.population / rows.weight.sum()
    low = _recall(label == number, shown, rows.weight, scale)
    maybe = (truth == UNCLEAR) & (label == number)
    return either(low, _recall(label == number, shown | maybe, rows.weight, scale)) if maybe.any() else low


def _recall(hit: NDArray[np.bool_], shown: NDArray[np.bool_], weight: NDArray[np.float64], scale: float) -> Share:
    return ratio(hit[shown], weight[shown], float(weight[shown].sum() * scale))


@dataclass(frozen=True)
class Confusion:
    """The judged rows by ground truth (down) and label (across); unclear rows are left out."""

    labels: tuple[str, ...]  # those with judgments, sorted; at most 100, the most frequent ones
    counts: NDArray[np.int64]  # (labels, labels)
    shares: NDArray[np.float64]  # (labels, labels) the same as estimated shares of all predictions

    def to_json(self) -> dict[str, Any]:
        return {"labels": list(self.labels), "counts": self.counts.tolist(), "shares": self.shares.tolist()}


def confusion(judged: Judged) -> Confusion:
    label, truth = judged.label[judged.counted], judged.truth[judged.counted]
    clear = truth != UNCLEAR
    label, truth, weight = label[clear], truth[clear], judged.weight[clear]
    names, frequency = np.unique(np.concatenate((label, truth)), return_counts=True)
    shown = np.sort(names[np.argsort(-frequency, kind="stable")[:_MOST_LABELS]])
    inside = np.isin(label, shown) & np.isin(truth, shown)
    size = len(shown)
    cell = np.searchsorted(shown, truth[inside]) * size + np.searchsorted(shown, label[inside])
    return Confusion(
        tuple(judged.labels[number] for number in shown),
        np.bincount(cell, minlength=size * size).reshape(size, size),
        np.bincount(cell, weight[inside] / weight.sum(), size * size).reshape(size, size).astype(np.float64),
    )
