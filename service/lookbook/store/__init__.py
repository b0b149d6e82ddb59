"""The store's contract: what is kept and how it is listed. Tests: tests/unit/test_store.py."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from lookbook.job import Job
from lookbook.judgment import GroundTruth, Judgment
from lookbook.prediction import Prediction, permanent_random, sort_key
from lookbook.settings import Settings
from lookbook.store.rows import Rows

MAX_ROWS = 2_000  # read at most for one filtered page
KEY_SECONDS = 24 * 60 * 60  # how long an idempotency key is kept
TIMEOUT_SECONDS = 1.5  # of one call
MAX_JUDGMENTS = 100  # of one prediction, withdrawn ones included; each can be withdrawn once
MAX_REFERENCES = 100  # drift references returned


@dataclass(frozen=True, slots=True)
class Input:
    """What was classified, without loss.

    `content` is, for kind "pixels", a PNG of what the model saw, after resizing; for "tensor", an .npy file of float32
    numbers; for "original", the uploaded bytes.
    """

    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A prediction and what is stored with it."""

    prediction: Prediction
    thumbnail: bytes | None = None
    sampling_rate: float | None = None  # None: not in the sample
    input: Input | None = None


@dataclass(frozen=True, slots=True)
class SampledDay:
    """A UTC day, see prediction.day(), on which predictions of a model version were sampled."""

    day: int
    model_name: str
    model_version: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A sampled prediction; `top` as in Prediction; `rate` is the probability with which it was sampled."""

    id: UUID
    top: tuple[tuple[str, float], ...]
    rate: float

    @property
    def u(self) -> float:
        return permanent_random(self.id)

    @property
    def label(self) -> str:
        return self.top[0][0]

    @property
    def score(self) -> float:
        return self.top[0][1]


@dataclass(frozen=True, slots=True)
class DayFrame:
    """What a closed day is reduced to; the store does not interpret it."""

    scores: bytes
    ids: bytes


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a replay. `baseline` and `candidate` are name/version, `report` is JSON."""

    id: UUID
    baseline: str
    candidate: str
    report: str


@dataclass(frozen=True, slots=True)
class Flip:
    """A prediction for which the candidate of a comparison has another label than the baseline."""

    prediction: UUID
    baseline_label: str
    candidate_label: str
    candidate_score: float


@dataclass(frozen=True, slots=True)
class Query:
    """Newest first, older than `after`; ids from `since`, inclusive, to `until`, exclusive.

    `ground_truth` is "none", "any" (unclear, too), "right", or "wrong".
    """

    limit: int
    after: UUID | None = None
    label: str | None = None
    since: UUID | None = None
    until: UUID | None = None
    ground_truth: str | None = None

    @property
    def below(self) -> UUID | None:
        """The id that every id of the page sorts before."""
        bounds = [bound for bound in (self.after, self.until) if bound]
        return min(bounds, key=sort_key, default=None)

    @property
    def max_rows(self) -> int:
        """How many rows to read at most. One more than the limit tells whether there is another page."""
        return MAX_ROWS if self.label or self.ground_truth else self.limit + 1


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the cursor of the next page, None on the last page; `truths` has the ground truths of its items."""

    items: tuple[Prediction, ...]
    next: UUID | None
    truths: Mapping[UUID, GroundTruth] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Status:
    """Whether the store can be used."""

    reached: bool  # it has been available at least once
    available: bool  # a call may succeed now
    failure: str | None  # why the last call failed, in one line; None if it succeeded


def build_page(
    rows: Sequence[Prediction], query: Query, stopped_at: UUID | None, truths: Mapping[UUID, GroundTruth]
) -> Page:
    """The page for rows that were read newest first; `stopped_at` is None if there are no more rows.

    `truths` has at least the ground truths of the rows that may be on the page.
    """
    items: list[Prediction] = []
    next = stopped_at
    for row in rows:
        if len(items) == query.limit:
            next = items[-1].id
            break
        if query.label in (None, row.label) and _matches(row, truths.get(row.id), query.ground_truth):
            items.append(row)
    return Page(tuple(items), next, {item.id: truths[item.id] for item in items if item.id in truths})


def _matches(prediction: Prediction, truth: GroundTruth | None, wanted: str | None) -> bool:
    if wanted is None:
        return True
    if truth is None or wanted in ("none", "any"):
        return wanted == ("none" if truth is None else "any")
    return truth.label is not None and wanted == ("right" if truth.label == prediction.label else "wrong")


def keep_seconds(settings: Settings) -> int:
    """How long inputs and comparisons are kept: no longer than predictions."""
    seconds = settings.keep_days * 24 * 60 * 60
    return min(seconds, settings.retention or seconds)


def deletion_key(id: UUID) -> str:
    """The idempotency key that records a deletion. No client can send it: it contains a newline."""
    return f"deleted\n{id}"


class Store(Protocol):
    """Keeps predictions. Every method but status() and close() raises StoreUnavailable if the store is unavailable."""

    def put(self, entry: Entry) -> None:
        """Store; once this returns, a crash does not lose it."""

    def put_all(self, entries: Sequence[Entry]) -> None:
        """Store several; if this raises, some may be stored."""

    def put_if_absent(self, entry: Entry) -> Prediction:
        """Store unless a prediction with this id exists; return the stored one."""

    def start_job(self, job: Job) -> Job:
        """Bind a job's name to it unless it is bound; return what it is bound to."""

    def job(self, tag: int) -> Job | None:
        """The job that has this tag."""

    def jobs(self) -> list[Job]:
        """All jobs, newest first."""

    def put_job(self, job: Job, entries: Sequence[Entry]) -> None:
        """Store predictions of a job as if at its start: storing them again changes nothing, and deletions stay."""

    def existing(self, ids: Sequence[UUID]) -> set[UUID]:
        """The ids that have a prediction."""

    def resume_seconds(self) -> int:
        """How long after its start a job may store predictions without bringing deleted ones back."""

    def claim(self, key: str, digest: bytes, id: UUID) -> tuple[UUID, bytes]:
        """Bind an idempotency key to id and digest for 24 hours unless it is bound; return what it is bound to."""

    def get(self, id: UUID) -> Prediction | None: ...

    def thumbnail(self, id: UUID) -> bytes | None: ...

    def input(self, id: UUID) -> Input | None: ...

    def delete(self, id: UUID) -> bool:
        """Delete the prediction and everything that was stored for it; return whether it existed."""

    def forget(self, id: UUID, model_name: str, model_version: str) -> None:
        """Delete what is left of a prediction that an earlier version, which knows only a part of it, has deleted."""

    def deleted(self, id: UUID) -> bool:
        """Whether the prediction was deleted; known for as long as an idempotency key is kept."""

    def page(self, query: Query) -> Page: ...

    def scan(self, since: UUID | None = None, until: UUID | None = None) -> Iterator[Rows]:
        """Everything from `since`, inclusive, to `until`, exclusive, newest first, in batches of at most BATCH_ROWS.

        Each batch is a read of its own. After an error, continue with the last id as `until`.
        """

    def ranges(self, since: UUID | None, until: UUID | None, count: int) -> list[tuple[UUID, UUID]]:
        """At most `count` bounds for scan() that together cover everything from `since` to `until`."""

    def judge(self, prediction: Prediction, judgment: Judgment) -> None:
        """Add a judgment of the prediction. Raises NotFound if it was deleted, and TooManyJudgments."""

    def judgments(self, id: UUID) -> tuple[Judgment, ...]:
        """All judgments of a prediction, newest first."""

    def truths(self, ids: Sequence[UUID]) -> Mapping[UUID, GroundTruth]:
        """The ground truths of these predictions, as far as there are any."""

    def sampled_days(self, since: int, until: int) -> list[SampledDay]:
        """The days from `since` to `until`, inclusive, that may have samples; newest first."""

    def samples(self, day: SampledDay, limit: int, after: tuple[float, UUID] | None = None) -> list[Sample]:
        """The samples with the smallest `u` above `after`, the u and id of a sample; in ascending order."""

    def sampled_judgments(self, day: SampledDay, below: float) -> list[Judgment]:
        """All judgments of the day's samples whose `u` is smaller than `below`."""

    def frames(self, model_name: str, model_version: str, since: int, until: int) -> dict[int, DayFrame]:
        """The stored frames of the days from `since` to `until`, inclusive."""

    def frame_scores(self, model_name: str, model_version: str, since: int, until: int) -> dict[int, bytes]:
        """`scores` of these frames."""

    def put_frame(self, day: SampledDay, frame: DayFrame, read_at: int) -> None:
        """Keep a day's frame, unless one of its samples was deleted after they were read.

        `read_at` is the time just before that, in microseconds since 1970.
        """

    def claim_review(self, id: UUID, owner: str, seconds: int) -> bool:
        """Claim a prediction for `owner`; False if another owner has claimed it."""

    def put_comparison(self, comparison: Comparison, flips: Sequence[Flip]) -> None:
        """Store the comparison and those flips whose predictions exist and are the baseline's."""

    def comparisons(self, baseline: str, candidate: str | None, limit: int) -> list[Comparison]:
        """Comparisons with a baseline and, unless it is None, a candidate; newest first."""

    def flips(self, comparison: UUID, limit: int, after: tuple[float, UUID] | None = None) -> list[Flip]:
        """The flips with the smallest `u` above `after`, the u and id of a prediction; in ascending order."""

    def put_drift_reference(self, model_name: str, model_version: str, id: UUID, annotator: str) -> None:
        """Record that a new drift reference starts at the time of `id`."""

    def drift_references(self, model_name: str, model_version: str) -> list[tuple[UUID, str]]:
        """Ids and annotators, newest first, at most 100."""

    def status(self) -> Status:
        """What is known without a call to the store."""

    def close(self) -> None: ...
