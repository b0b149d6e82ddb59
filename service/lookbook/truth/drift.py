"""Whether the predictions of a version differ from those of its first days, with few false alarms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookbook.truth.accuracy import effective_size
from lookbook.truth.frame import Scores
from lookbook.truth.special import f_survival, t_survival

CHUNK_ROWS = 100  # at least
REFERENCE_CHUNKS = 14
RECENT_CHUNKS = 60  # at most
ALARM = 2000.0  # the evidence, a Shiryaev-Roberts statistic, at which an alarm is raised
LEAST_VARIATION = 0.05  # changes that are smaller than both are not worth an alarm
LEAST_CHANGE = 0.03

_CREDIBLE = 3  # how much less likely than the likeliest start of a change a credible one may be
_MOST_EVIDENCE = 1e300  # the product of many small p-values would be infinite, which JSON cannot say
_EXPECTED = 5  # rows below which the cells of a chi-square test are pooled
_DECILES = np.arange(0.1, 0.95, 0.1)


@dataclass(frozen=True)
class Chunk:
    """Whole days, from `since` to `until`, days since 1970, inclusive."""

    since: int
    until: int
    labels: dict[str, float]  # share of each
    score: NDArray[np.float64]  # (n,)
    weight: NDArray[np.float64]  # (n,)

    @property
    def mean(self) -> float:
        return float((self.weight * self.score).sum() / self.weight.sum())

    @property
    def rows(self) -> float:
        """How many rows of equal weight it is worth."""
        return effective_size(self.weight)


@dataclass(frozen=True, slots=True)
class Step:
    """What one chunk after the reference shows. `evidence` includes the chunks before it."""

    since: int
    until: int
    p_labels: float
    p_scores: float
    p_accuracy: float
    e_value: float
    evidence: float
    total_variation: float  # of the labels, 0 to 1, the largest since a credible start of a change
    accuracy: float  # the mean score
    change: float  # of the mean score, the largest since such a start
    alarm: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "since": _date(self.since),
            "until": _date(self.until),
            "p_values": {"labels": self.p_labels, "scores": self.p_scores, "estimated_accuracy": self.p_accuracy},
            "e_value": self.e_value,
            "evidence": self.evidence,
            "total_variation": self.total_variation,
            "estimated_accuracy": self.accuracy,
            "change": self.change,
            "alarm": self.alarm,
        }


@dataclass(frozen=True, slots=True)
class Drift:
    """`status` is "learning" until the reference is complete, then "stable" or "alarm".

    An alarm ends with a new reference, or once its chunk is no longer among the last 60.
    """

    reference: tuple[Chunk, ...]
    steps: tuple[Step, ...]  # oldest first

    @property
    def status(self) -> str:
        if len(self.reference) < REFERENCE_CHUNKS:
            return "learning"
        return "alarm" if any(step.alarm for step in self.steps) else "stable"

    def to_json(self) -> dict[str, Any]:
        """The newest chunk's figures, None if there is none after the reference, and those of each chunk."""
        last = self.steps[-1].to_json() if self.steps else {}
        figures = ("p_values", "e_value", "evidence", "total_variation", "estimated_accuracy", "change")
        return {
            "status": self.status,
            "alarm_since": next((_date(step.since) for step in self.steps if step.alarm), None),
            "reference": {
                "chunks": len(self.reference),
                "chunks_needed": REFERENCE_CHUNKS,
                "since": _date(self.reference[0].since) if self.reference else None,
                "until": _date(self.reference[-1].until) if self.reference else None,
                "estimated_accuracy": _mean(self.reference) if self.reference else None,
            },
            **{name: last.get(name) for name in figures},
            "chunks": [step.to_json() for step in self.steps],
        }


def detect(days: Mapping[int, Scores]) -> Drift:
    """The drift in the scores of closed days since the start of the reference; days are counted from 1970.

    Only the first days, which hold 14 chunks, and the last ones, which hold up to 60, matter.
    """
    chunks = make_chunks(days)
    reference, rest = chunks[:REFERENCE_CHUNKS], chunks[REFERENCE_CHUNKS:][-RECENT_CHUNKS:]
    return Drift(tuple(reference), tuple(_steps(reference, rest)) if rest else ())


def make_chunks(days: Mapping[int, Scores]) -> list[Chunk]:
    """Whole days in ascending order, combined until they have 100 rows; the last are left out if they have fewer."""
    chunks, pending = [], list[int]()
    for day in sorted(days):
        pending.append(day)
        if sum(len(days[other]) for other in pending) >= CHUNK_ROWS:
            chunks.append(_chunk(pending[0], day, [days[other] for other in pending]))
            pending = []
    return chunks


def shift_p(past: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """The probability that counts (cells,) differ as much from those of past chunks (chunks, cells) by chance.

    Chi-square over the dispersion between the past chunks, as F: predictions of one sender are much alike.
    """
    past, now = _pooled(past, now)
    cells = past.shape[1] - 1
    if cells < 1:
        return 1.0
    rows, share, size = past.sum(axis=1, keepdims=True), past.sum(axis=0) / past.sum(), now.sum()
    freedom = (len(past) - 1) * cells
    spread = max(1.0, float(((past - rows * share) ** 2 / (rows * share)).sum()) / freedom)
    distance = float(((now - size * share) ** 2 / (size * share)).sum() / (1 + size / past.sum()))
    return f_survival(distance / cells / spread, cells, freedom)


def mean_p(past: NDArray[np.float64], now: float) -> float:
    """The probability that a chunk's mean differs as much from past chunks' means (chunks,) by chance."""
    spread = sqrt(float(past.var(ddof=1)) * (1 + 1 / len(past)))
    return min(1.0, 2 * t_survival(abs(now - float(past.mean())) / max(spread, 1e-9), len(past) - 1))


def _chunk(since: int, until: int, parts: Sequence[Scores]) -> Chunk:
    weight = np.concatenate([part.weight for part in parts])
    totals: dict[str, float] = {}
    for part in parts:
        for label, total in zip(part.labels, np.bincount(part.label, part.weight, len(part.labels)), strict=True):
            totals[label] = totals.get(label, 0.0) + float(total) / float(weight.sum())
    return Chunk(since, until, totals, np.concatenate([part.score for part in parts]), weight)


def _steps(reference: Sequence[Chunk], rest: Sequence[Chunk]) -> list[Step]:
    """Each chunk after the reference, with the evidence up to it."""
    past, every = len(reference), [*reference, *rest]
    labels, scores = _label_counts(every), _score_counts(every, reference)
    means = np.array([chunk.mean for chunk in every])
    steps, evidence, logs = list[Step](), 0.0, list[float]()
    for number, chunk in enumerate(rest, past):
        ps = (
            shift_p(labels[:past], labels[number]),
            shift_p(scores[:past], scores[number]),
            mean_p(means[:past], chunk.mean),
        )
        e_value = sum(0.3 * max(p, 1e-12) ** -0.7 for p in ps) / len(ps)
        evidence = min((1 + evidence) * e_value, _MOST_EVIDENCE)
        logs.append(log(e_value))
        starts = past + _credible_starts(np.array(logs))
        variation = max(_variation(labels[:past], labels[start : number + 1]) for start in starts)
        changes = [float(means[start : number + 1].mean() - means[:past].mean()) for start in starts]
        change = max(changes, key=abs)
        alarm = evidence >= ALARM and (variation >= LEAST_VARIATION or abs(change) >= LEAST_CHANGE)
        steps.append(Step(chunk.since, chunk.until, *ps, e_value, evidence, variation, chunk.mean, change, alarm))
    return steps


def _credible_starts(logs: NDArray[np.float64]) -> NDArray[np.intp]:
    """The chunks where a change is about as likely to have started as anywhere; `logs` are those of e-values (chunks,).

    A change is measured from these: chunks before it would dilute it and delay the alarm.
    """
    since = np.cumsum(logs[::-1])[::-1]
    return np.flatnonzero(since >= since.max() - log(_CREDIBLE))


def _variation(past: NDArray[np.float64], recent: NDArray[np.float64]) -> float:
    """The total variation between the shares of two groups of counts (chunks, labels)."""
    before, after = past.sum(axis=0), recent.sum(axis=0)
    return float(np.abs(after / after.sum() - before / before.sum()).sum() / 2)


def _label_counts(chunks: Sequence[Chunk]) -> NDArray[np.float64]:
    """(chunks, labels) How many rows of equal weight the rows of each label are worth."""
    labels = sorted(set().union(*(chunk.labels for chunk in chunks)))
    return np.array([[chunk.rows * chunk.labels.get(label, 0.0) for label in labels] for chunk in chunks])


def _score_counts(chunks: Sequence[Chunk], reference: Sequence[Chunk]) -> NDArray[np.float64]:
    """(chunks, 10) How many rows of equal weight the rows in each tenth of the reference's scores are worth."""
    edges = np.quantile(np.concatenate([chunk.score for chunk in reference]), _DECILES)
    return np.array([chunk.rows / chunk.weight.sum() * _histogram(chunk, edges) for chunk in chunks])


def _histogram(chunk: Chunk, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.bincount(np.searchsorted(edges, chunk.score), chunk.weight, len(edges) + 1).astype(np.float64)


def _pooled(past: NDArray[np.float64], now: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both counts; rare cells become one, with at least one row expected per chunk, which is left out if empty."""
    rare = past.mean(axis=0) < _EXPECTED
    others, other = past[:, rare].sum(axis=1), now[rare].sum()
    if others.sum() + other == 0:
        return past[:, ~rare], now[~rare]
    others = others + max(0.0, 1 - float(others.mean()))  # a single row of a new label is no alarm
    return np.column_stack((past[:, ~rare], others)), np.append(now[~rare], other)


def _mean(chunks: Sequence[Chunk]) -> float:
    """The mean over chunks of their mean scores."""
    return float(np.mean([chunk.mean for chunk in chunks]))


def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
