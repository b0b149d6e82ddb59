"""Precision and recall of each label, and the confusion matrix."""

import numpy as np
from numpy.typing import NDArray

from lookbook.truth.accuracy import LEAST_JUDGED, Rows, Share, either, ratio, share_right
from lookbook.truth.judged import UNCLEAR, Judged


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


def confusion(judged: Judged) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Judged rows by ground truth (down) and label (across), as counts and as estimated shares of all predictions.

    Unclear rows are left out.
    """
    size = len(judged.labels)
    label, truth = judged.label[judged.counted], judged.truth[judged.counted]
    clear = truth != UNCLEAR
    cell = truth[clear] * size + label[clear]
    counts = np.bincount(cell, minlength=size * size).reshape(size, size)
    weights = np.bincount(cell, judged.weight[clear], size * size).reshape(size, size)
    return counts, weights / max(weights.sum(), 1e-300)
