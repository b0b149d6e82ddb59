"""How good a model version is, estimated from judgments of its predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from lookbook.judgment import GroundTruth
from lookbook.truth.accuracy import LEAST_JUDGED, Rows, Share
from lookbook.truth.calibration import Calibration, calibrate
from lookbook.truth.frame import Frame
from lookbook.truth.judged import UNCLEAR, Judged
from lookbook.truth.labels import Confusion, accuracy_of, confusion, recall_of

_MOST_LABELS = 1_000  # whose precision and recall are reported


@dataclass(frozen=True, slots=True)
class Day:
    """How many predictions were made on a day (estimated), sampled, and judged; `counted` are those that count."""

    day: int
    predictions: float
    sampled: int
    judged: int
    counted: int

    def to_json(self) -> dict[str, Any]:
        return {
            "day": (date(1970, 1, 1) + timedelta(days=self.day)).isoformat(),
            "predictions": self.predictions,
            "sampled": self.sampled,
            "judged": self.judged,
        }


@dataclass(frozen=True)
class Evaluation:
    """The quality of one model version, or of several pooled. A share is None if too few rows are judged to know it."""

    accuracy: Share | None
    estimated_accuracy: float | None  # the mean score, without support from judgments
    labels: tuple[str, ...]  # sorted, at most 1,000
    precision: dict[str, Share | None]
    recall: dict[str, Share | None]
    predicted: dict[str, int]  # judged predictions with this label
    shown: dict[str, int]  # judged images that show this label
    confusion: Confusion
    calibration: Calibration | None
    population: float  # predictions, estimated
    sampled: int  # rows of the frames
    judged: int  # rows that count, including unclear ones
    unclear: int  # of these
    waiting: int  # rows judged out of turn, which count once the order of review reaches them
    daily: tuple[Day, ...]  # oldest first

    def to_json(self) -> dict[str, Any]:
        calibration = self.calibration
        return {
            "accuracy": _share(self.accuracy, self.judged),
            "estimated_accuracy": self.estimated_accuracy,
            "precision": {label: _share(self.precision[label], self.predicted[label]) for label in self.labels},
            "recall": {label: _share(self.recall[label], self.shown[label]) for label in self.labels},
            "confusion_matrix": self.confusion.to_json(),
            "calibration_curve": [bin.to_json() for bin in calibration.bins] if calibration else [],
            "expected_calibration_error": calibration.error if calibration else None,
            "brier_score": calibration.brier_score if calibration else None,
            "calibration_intercept": calibration.line[0] if calibration and calibration.line else None,
            "calibration_slope": calibration.line[1] if calibration and calibration.line else None,
            "population_size": self.population,
            "sampled": self.sampled,
            "judged": self.judged,
            "unclear": self.unclear,
            "bounds": list(self.accuracy.interval) if self.accuracy else None,
            "waiting": self.waiting,
            "days": len(self.daily),
            "days_covered": sum(day.counted > 0 for day in self.daily),
            "daily": [day.to_json() for day in self.daily],
        }


def evaluate(frames: Sequence[Frame], truths: Mapping[UUID, GroundTruth]) -> Evaluation:
    """What the ground truths say about all predictions of the frames' days; other predictions' truths do not matter."""
    judged = Judged(frames, truths)
    rows = Rows(judged.score, judged.inclusion, judged.counted, judged.weight)
    label, truth = judged.label[judged.counted], judged.truth[judged.counted]
    clear, right = truth != UNCLEAR, (truth == label).astype(float)
    predicted, shown = (np.bincount(rows, minlength=len(judged.labels)) for rows in (label, truth[clear]))
    named = [(number, judged.labels[number]) for number in _reported(judged, predicted + shown)]
    return Evaluation(
        accuracy=accuracy_of(rows, label, truth),
        estimated_accuracy=float((judged.score / judged.inclusion).sum() / rows.population)
        if len(judged.score)
        else None,
        labels=tuple(name for _, name in named),
        precision={name: _precision(judged, rows, number, predicted[number]) for number, name in named},
        recall={
            name: recall_of(number, label, truth, rows) if shown[number] >= LEAST_JUDGED else None
            for number, name in named
        },
        predicted={name: int(predicted[number]) for number, name in named},
        shown={name: int(shown[number]) for number, name in named},
        confusion=confusion(judged),
        calibration=calibrate(rows.score[rows.judged][clear], right[clear], rows.weight[clear]),
        population=rows.population,
        sampled=len(judged.score),
        judged=len(truth),
        unclear=int((~clear).sum()),
        waiting=int(judged.settled.sum()) - len(truth),
        daily=_daily(judged),
    )


def _reported(judged: Judged, judgments: NDArray[np.intp]) -> list[int]:
    """The labels to report, sorted: those with the most judgments, then those that the model gives most often.

    Annotators may use any label, and so any number of them.
    """
    given = np.bincount(judged.label, minlength=len(judged.labels))
    return sorted(np.lexsort((-given, -judgments))[:_MOST_LABELS].tolist())


def _precision(judged: Judged, rows: Rows, number: int, count: int) -> Share | None:
    if count < LEAST_JUDGED:  # of most labels, if there are many
        return None
    counted = judged.counted[judged.label[judged.counted] == number]
    return accuracy_of(rows.where(judged.label == number), judged.label[counted], judged.truth[counted])


def _daily(judged: Judged) -> tuple[Day, ...]:
    days, place = np.unique([frame.day for frame in judged.frames], return_inverse=True)
    row_day, size = place[judged.frame], len(days)
    columns = (
        np.bincount(row_day, 1 / judged.inclusion, size).tolist(),
        np.bincount(row_day, minlength=size).tolist(),
        np.bincount(row_day[judged.settled], minlength=size).tolist(),
        np.bincount(row_day[judged.counted], minlength=size).tolist(),
    )
    return tuple(Day(*row) for row in zip(days.tolist(), *columns, strict=True) if row[2])


def _share(share: Share | None, judged: int) -> dict[str, Any]:
    """The share, or only the number of judgments if there is no estimate."""
    if share:
        return share.to_json()
    return {
        "estimate": None,
        "confidence_interval": None,
        "standard_error": None,
        "n": judged,
        "effective_sample_size": None,
        "support": None,
    }
