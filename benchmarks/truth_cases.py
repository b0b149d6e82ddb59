"""Cases of benchmarks.truth: many repetitions of what the product says about traffic with known truths."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from lookbook.judgment import GroundTruth
from lookbook.prediction import permanent_random
from lookbook.truth.accuracy import Share
from lookbook.truth.drift import REFERENCE_CHUNKS, detect
from lookbook.truth.evaluation import evaluate
from lookbook.truth.flips import Pair
from lookbook.truth.frame import Scores
from lookbook.truth.replay import Replay
from lookbook.truth.sampling import SAMPLE_SIZE
from lookbook.truth.special import wilson
from numpy.typing import NDArray

from benchmarks.truth_traffic import JUDGED_AT, Answers, Codes, Images, Week, make_ids, name

CHUNKS = 30  # after the reference
PAIRS = 2_000

Flags = NDArray[np.bool_]
Interval = tuple[float, float]


@dataclass
class Tally:
    """Estimates of one kind, each with what is true."""

    errors: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    judged: list[int] = field(default_factory=list)

    def add(self, true: float, estimate: float, interval: Interval, judged: int) -> None:
        self.errors.append(estimate - true)
        self.covered.append(interval[0] <= true <= interval[1])
        self.widths.append(interval[1] - interval[0])
        self.judged.append(judged)

    @property
    def bias(self) -> float:
        return float(np.mean(self.errors))

    @property
    def rmse(self) -> float:
        return float(np.sqrt(np.mean(np.square(self.errors))))

    @property
    def coverage(self) -> float:
        return float(np.mean(self.covered))

    def cells(self) -> list[str]:
        figures = (f"{self.bias:+.3f}", f"{self.rmse:.3f}", f"{self.coverage:.3f}", f"{np.mean(self.widths):.3f}")
        return [*figures, f"{np.mean(self.judged):.0f}"]


class Tallies(dict[str, Tally]):
    def add(self, case: str, true: float, share: Share | None) -> None:
        """Add an estimate of the product, if there is one."""
        if share:
            self.of(case).add(true, share.estimate, share.interval, share.n)

    def add_plain(self, case: str, true: float, right: Flags) -> None:
        """Add the share of right ones, with Wilson's interval."""
        share = float(right.mean())
        self.of(case).add(true, share, wilson(share, len(right)), len(right))

    def of(self, case: str) -> Tally:
        return self.setdefault(case, Tally())


def overall(week: Week, counts: Sequence[int], into: Tallies) -> None:
    """The accuracy after some judgments in the order of review, and three plain ways to know it."""
    true = _true(week)
    for count in counts:
        found = evaluate(week.frames, week.truths(week.rank < count))
        into.add(f"in the order of review, {count}", true, found.accuracy)
        into.add_plain(f"pure random: share right, {count}", true, week.right[week.uniform_rank < count])
        into.add_plain(f"naive: share right in the queue, {count}", true, week.right[week.rank < count])
        into.add_plain(f"naive: least certain first, {count}", true, week.right[np.argsort(week.score)[:count]])


def by_label(week: Week, counts: Sequence[int], into: Tallies) -> None:
    """Precision and recall of every label with an estimate."""
    model, images = week.images.model, week.population
    label, truth, right = model.label[images], week.images.truth[images], model.right[images]
    for count in counts:
        found = evaluate(week.frames, week.truths(week.rank < count))
        for code in np.unique(label):
            for kind, shares, of in (("precision", found.precision, label), ("recall", found.recall, truth)):
                share, own = shares.get(name(code)), of == code
                if share and own.any():
                    size = "5-19" if share.n < 20 else "20 or more"
                    into.add(f"{kind}, {count} judged, {size} of the label", float(right[own].mean()), share)


def reviewers(rng: np.random.Generator, week: Week, into: Tallies) -> None:
    """People who stop when they like, judge other predictions too, or cannot say."""
    true, rank, right = _true(week), week.rank, week.right
    judged = {
        "stop at random": rank < min(200, 20 + rng.geometric(1 / 80)),
        "stop at the first two errors in a row": rank < _two_errors(right[np.argsort(rank)]),
        "judge days unevenly": rank < rng.choice((60, 150, 400), len(week.frames))[week.day],
        "100 in order, and complaints about 30% of errors": (rank < 100) | (~right & (rng.random(len(right)) < 0.3)),
    }
    for case, rows in judged.items():
        into.add(case, true, evaluate(week.frames, week.truths(rows)).accuracy)
    into.add("stop when the interval is narrower than 0.15", true, _narrow(week))
    into.add_plain("naive: share right, with complaints", true, right[judged[[*judged][-1]]])
    hard = rng.random(len(right)) < np.where(right, 0.08, 0.4)
    into.add("200, hard ones unclear", true, evaluate(week.frames, week.truths(rank < 200, hard)).accuracy)
    skipped = evaluate(week.frames, week.truths((rank < 200) & ~hard))
    into.add("200, hard ones skipped", true, skipped.accuracy)


def small_weeks(rng: np.random.Generator, images: Images, rows: Codes, repetitions: int) -> Tallies:
    """Ten predictions a day, judged in part or as a whole; the truth is that of such traffic without end."""
    found, weeks = Tallies(), []
    for _ in range(repetitions):
        week = Week(rng, images, rows, 70)
        weeks.append((week, [evaluate(week.frames, week.truths(week.rank < n)).accuracy for n in (5, 20, 50, 70)]))
    order = rows[np.argsort(images.model.score[rows])]
    halves = [images.model.right[half].mean() for half in (order[: len(rows) // 2], order[len(rows) // 2 :])]
    busy = np.mean([_share_busy(week) for week, _ in weeks])
    share = 0.7 * busy + 0.3 * (1 - busy)
    true = float(share * halves[0] + (1 - share) * halves[1])
    for _, shares in weeks:
        for count, accuracy in zip((5, 20, 50, 70), shares, strict=True):
            found.add(f"70 a week, {count} judged", true, accuracy)
    return found


@dataclass
class Bursts:
    """Sampled rows of workers in buckets, less the bound of their mean."""

    excess: list[float] = field(default_factory=list)
    most: float = 0

    def add(self, week: Week) -> None:
        made, taken = week.sampled_by_bucket()
        bound = np.where(made > SAMPLE_SIZE, SAMPLE_SIZE * (1 + np.log(np.maximum(made, 1) / SAMPLE_SIZE)), made)
        self.excess += (taken - bound).tolist()
        self.most = max(self.most, float(taken.max()))


def chunk_of(rng: np.random.Generator, images: Images, rows: int, clustered: bool, change: str | None) -> Scores:
    """A day's frame. With `clustered`, each sender brings up to eight images. `change` is "label" or "accuracy"."""
    size = len(images.truth)
    image = _of_senders(rng, images, rows) if clustered else rng.integers(size, size=rows)
    if change == "label":  # ten percent more of a label that about seven percent have, like Dress in the shipped model
        code = np.argmin(np.abs(np.bincount(images.model.label) - 0.07 * size))
        same = np.flatnonzero(images.model.label == code)
        image = np.where(rng.random(rows) < 0.1, rng.choice(same, rows), image)
    worse = rng.random(rows) < _mixture(images) * (change == "accuracy")
    label = np.where(worse, images.degraded.label[image], images.model.label[image])
    score = np.where(worse, images.degraded.score[image], images.model.score[image])
    names = tuple(name(code) for code in range(int(label.max()) + 1))
    return Scores(names, label.astype(np.uint16), score, np.ones(rows))


def alarm_after(
    rng: np.random.Generator, images: Images, rows: int, clustered: bool, change: str | None, late: int = 0
) -> float:
    """Chunks from the change, `late` chunks after the reference, to the alarm; 0 or less if the alarm is false."""
    first = REFERENCE_CHUNKS + late
    days = {
        day: chunk_of(rng, images, rows, clustered, change if day >= first else None) for day in range(first + CHUNKS)
    }
    steps = detect(days).steps
    return next((number - late + 1 for number, step in enumerate(steps) if step.alarm), math.inf)


@dataclass
class Replays:
    """Comparisons of one kind after some judgments."""

    tally: Tally = field(default_factory=Tally)
    significant: list[bool] = field(default_factory=list)
    worse: list[bool] = field(default_factory=list)


def replays(
    rng: np.random.Generator, images: Images, rows: Codes, repetitions: int, twin: bool, swapped: bool
) -> dict[int, Replays]:
    """The model against its twin, or against itself on degraded images, in frames of PAIRS rows.

    With `swapped`, the two are exchanged at random for each image, so that neither is better.
    """
    other = images.twin if twin else images.degraded
    gain = float(other.right[rows].mean() - images.model.right[rows].mean())
    found = {count: Replays() for count in (6, 20, 50, 200)}
    for _ in range(repetitions):
        pairs, truths = _pairs(rng, images.model, other, rng.choice(rows, PAIRS), swapped)
        every = Replay.of(pairs, {})
        for count, into in found.items():
            judged = {flip.id: truths[flip.id] for flip in every.flips.flips[:count]}
            flips = Replay.of(pairs, judged).flips
            into.significant.append(flips.test.is_significant)
            into.worse.append(flips.is_worse)
            if flips.difference:
                true = 0.0 if swapped else gain
                into.tally.add(true, flips.difference.estimate, flips.difference.interval, len(flips.counted))
    return found


def _true(week: Week) -> float:
    return float(week.images.model.right[week.population].mean())


def _two_errors(right: Flags) -> int:
    """How many are judged if people stop at two errors in a row, after 20 and before 200."""
    wrong = ~right[18:200]
    twice = np.flatnonzero(wrong[:-1] & wrong[1:])
    return 20 + int(twice[0]) if len(twice) else 200


def _narrow(week: Week) -> Share | None:
    shares = (evaluate(week.frames, week.truths(week.rank < count)).accuracy for count in range(20, 201, 10))
    return next(share for share in shares if share and (_width(share) < 0.15 or share.n >= 200))


def _width(share: Share) -> float:
    return share.interval[1] - share.interval[0]


def _share_busy(week: Week) -> float:
    """The share of predictions in buckets that are busier than the median prediction's."""
    busy = np.bincount(week.bucket)[week.bucket]
    return float((busy > np.median(busy)).mean())


def _of_senders(rng: np.random.Generator, images: Images, rows: int) -> Codes:
    """Images in runs of up to eight of one sender."""
    order = np.argsort(images.sender, kind="stable")
    count = np.unique(images.sender, return_counts=True)[1]
    first, sender = np.cumsum(count) - count, rng.integers(len(count), size=rows)
    take = np.minimum(count[sender], 8)
    turn = np.repeat(rng.integers(count[sender]) - np.cumsum(take) + take, take) + np.arange(take.sum())
    image: Codes = order[np.repeat(first[sender], take) + turn % np.repeat(count[sender], take)]
    return image[:rows]


def _mixture(images: Images) -> float:
    """The share of degraded images that lowers the accuracy by ten points."""
    return float(0.1 / (images.model.right.mean() - images.degraded.right.mean()))


def _pairs(
    rng: np.random.Generator, a: Answers, b: Answers, image: Codes, swapped: bool
) -> tuple[list[Pair], dict[UUID, GroundTruth]]:
    """Pairs of labels of these images, and their truths. Several labels may be right: then neither model is better."""
    turned = (rng.random(len(image)) < 0.5).tolist() if swapped else [False] * len(image)
    pairs, truths = [], {}
    for id, number, turn in zip(make_ids(rng, np.zeros(len(image), np.intp)), image.tolist(), turned, strict=True):
        labels = name(a.label[number]), name(b.label[number])
        right = bool(a.right[number]), bool(b.right[number])
        shown = labels[right.index(True)] if right[0] != right[1] else "something else"
        pairs.append(Pair(id, permanent_random(id), 1.0, *(labels[::-1] if turn else labels)))
        truths[id] = GroundTruth(shown, 1, JUDGED_AT)
    return pairs, truths
