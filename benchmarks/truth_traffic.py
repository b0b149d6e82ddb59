"""Traffic with known truths, for benchmarks.truth: images that a model classified, and weeks of predictions of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from uuid import UUID

import numpy as np
from lookbook.judgment import GroundTruth
from lookbook.prediction import BUCKET_SECONDS, permanent_random
from lookbook.truth.frame import build_frame
from lookbook.truth.sampling import Sampler
from numpy.typing import NDArray

DAYS = 7
WORKERS = (0.6, 0.3, 0.1)  # the share of predictions of each

_FIRST_DAY = 20_454  # 2026-01-01
_BUCKETS = 86_400 // BUCKET_SECONDS  # a day
_EPOCH = 0x01B21DD213814000  # 1970 in a time-based ID
JUDGED_AT = datetime(2026, 2, 1, tzinfo=UTC)

Numbers = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Answers:
    """What a model says about n images, and whether it is right."""

    label: Codes  # (n,)
    score: Numbers  # (n,)
    right: NDArray[np.bool_]  # (n,)


@dataclass(frozen=True)
class Images:
    """n images, and what models say about them."""

    truth: Codes  # (n,) what a judgment would say: the label of a right prediction, or another one
    sender: Codes  # (n,)
    unseen: Codes  # positions of those whose senders the model has not been trained with
    model: Answers
    degraded: Answers  # the same model on darker, blurred images
    twin: Answers  # nearly the same model


def from_file(path: Path) -> Images:
    """Images from an .npz of `scores`, `degraded`, `flipped`, `right`, all (n, labels); `sender` and `seen`, (n,)."""
    file = np.load(path)
    right, rows = file["right"], np.arange(len(file["seen"]))

    def answers(name: str) -> Answers:
        scores = file[name].astype(float)
        label = scores.argmax(axis=1)
        return Answers(label, scores.max(axis=1), right[rows, label].astype(bool))

    model = answers("scores")
    other = np.where(right.any(axis=1), right.argmax(axis=1), right.shape[1])
    sender = np.unique(file["sender"], return_inverse=True)[1]
    truth = np.where(model.right, model.label, other)
    return Images(truth, sender, np.flatnonzero(~file["seen"]), model, answers("degraded"), answers("flipped"))


def synthetic(count: int = 4_000, labels: int = 13, seed: int = 0) -> Images:
    """Slightly overconfident scores, labels of unequal frequency and difficulty, and senders with similar images."""
    rng = np.random.default_rng(seed)
    sender = np.sort(rng.integers(count // 12, size=count))
    favorite = rng.choice(labels, count // 12, p=_shares(labels))[sender]
    truth = np.where(rng.random(count) < 0.5, favorite, rng.choice(labels, count, p=_shares(labels)))
    skill = rng.normal(0, 0.7, labels)[truth] + rng.normal(0, 0.5, count // 12)[sender]
    margin = rng.normal(2.3, 2.0, count) + skill  # log odds of being right
    luck, confused = rng.random(count), (truth + rng.integers(1, 4, count)) % labels

    def answers(loss: Numbers) -> Answers:
        right = luck < _expit(margin - loss)
        score = np.clip(_expit(1.15 * (margin - loss)), 0.3, 0.9999)
        return Answers(np.where(right, truth, confused), score, right)

    every = np.arange(count)
    none = np.zeros(count)
    return Images(truth, sender, every, answers(none), answers(none + 1.6), answers(rng.normal(0, 0.15, count)))


class Week:
    """Predictions of a bursty week, harder when it is busy, sampled by several workers with the product's sampler."""

    def __init__(self, rng: np.random.Generator, images: Images, rows: Codes, size: int) -> None:
        slots = np.arange(DAYS * _BUCKETS)
        load = np.exp(rng.normal(0, 0.8, len(slots))) * (1.2 + np.sin(slots / _BUCKETS * 2 * np.pi))
        bucket = np.sort(rng.choice(slots, size, p=load / load.sum()))
        busy = np.bincount(bucket, minlength=len(slots))[bucket]
        order, cut = rows[np.argsort(images.model.score[rows])], len(rows) // 2
        hard = rng.random(size) < np.where(busy > np.median(busy), 0.7, 0.3)
        self.images = images
        self.population = np.where(hard, rng.choice(order[:cut], size), rng.choice(order[cut:], size))
        self.bucket = bucket
        self.worker = rng.choice(len(WORKERS), size, p=WORKERS)
        days = self._sample(make_ids(rng, bucket))
        self.rows = [row for rows_of_day in days for row in rows_of_day]
        self.frames = [build_frame(_FIRST_DAY + day, rows_of_day) for day, rows_of_day in enumerate(days)]
        place = {row.id.bytes: row for row in self.rows}
        self.framed = [place[id] for frame in self.frames for id in frame.ids.tolist()]

    @cached_property
    def image(self) -> Codes:
        """(n,) the image of each row of the frames."""
        return np.array([row.image for row in self.framed])

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """(n,) whether the model is right."""
        return self.images.model.right[self.image]

    @cached_property
    def score(self) -> Numbers:
        return self.images.model.score[self.image]

    @cached_property
    def day(self) -> Codes:
        """(n,) index into `frames`"""
        return np.repeat(np.arange(DAYS), [len(frame) for frame in self.frames])

    @cached_property
    def rank(self) -> Codes:
        """(n,) place in the order of review."""
        return np.argsort(np.argsort(np.concatenate([frame.key for frame in self.frames])))

    @cached_property
    def uniform_rank(self) -> Codes:
        """(n,) place in an order that does not depend on scores."""
        return np.argsort(np.argsort(np.concatenate([frame.u for frame in self.frames])))

    def truths(self, judged: NDArray[np.bool_], unclear: NDArray[np.bool_] | None = None) -> dict[UUID, GroundTruth]:
        """The truths of the judged rows (n,)."""
        shown = self.images.truth[self.image]
        hard = np.zeros(len(judged), bool) if unclear is None else unclear
        return {
            self.framed[row].id: GroundTruth(None if hard[row] else name(shown[row]), 1, JUDGED_AT)
            for row in np.flatnonzero(judged)
        }

    def sampled_by_bucket(self) -> tuple[Numbers, Numbers]:
        """Predictions and sampled rows of each worker and bucket with at least one prediction."""
        place = self.bucket * len(WORKERS) + self.worker
        made = np.bincount(place, minlength=DAYS * _BUCKETS * len(WORKERS))
        taken = np.bincount(place[[row.number for row in self.rows]], minlength=len(made))
        return made[made > 0].astype(float), taken[made > 0].astype(float)

    def _sample(self, ids: Sequence[UUID]) -> list[list["Row"]]:
        """The sampled rows of each day."""
        samplers, days = [Sampler() for _ in WORKERS], [list[Row]() for _ in range(DAYS)]
        label, score = self.images.model.label.tolist(), self.images.model.score.tolist()
        day = (self.bucket // _BUCKETS).tolist()
        made = zip(ids, self.worker.tolist(), self.population.tolist(), strict=True)
        for number, (id, worker, image) in enumerate(made):
            rate = samplers[worker].rate(id)
            u = permanent_random(id)
            if u < rate:  # is_sampled(), without a second hash
                days[day[number]].append(Row(id, u, name(label[image]), score[image], rate, number, image))
        return days


@dataclass(frozen=True, slots=True)
class Row:
    """A sampled prediction; `number` is its place in the week."""

    id: UUID
    u: float
    label: str
    score: float
    rate: float
    number: int
    image: int


def make_ids(rng: np.random.Generator, bucket: Codes) -> list[UUID]:
    """Time-based IDs in these buckets after the first day's start, in order."""
    start = _FIRST_DAY * _BUCKETS
    seconds = np.sort((start + bucket + rng.random(len(bucket))) * BUCKET_SECONDS)
    low = rng.integers(1 << 62, size=len(bucket)).tolist()
    return [_id(int(second * 1e7), rest) for second, rest in zip(seconds.tolist(), low, strict=True)]


@cache
def name(label: int) -> str:
    return f"label {label:02}"


def _id(ticks: int, low: int) -> UUID:
    ticks += _EPOCH
    high = (ticks & 0xFFFFFFFF) << 32 | (ticks >> 32 & 0xFFFF) << 16 | 0x1000 | ticks >> 48
    return UUID(int=high << 64 | 1 << 63 | low)


def _shares(labels: int) -> Numbers:
    weight: Numbers = 1 / np.arange(1.0, labels + 1)
    return weight / float(weight.sum())


def _expit(x: Numbers) -> Numbers:
    chance: Numbers = 1 / (1 + np.exp(-x))
    return chance
