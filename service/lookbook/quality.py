"""Reads frames and ground truths, a bounded number of rows for each day, from a store, so that `truth` can compute.

Tests: tests/unit/test_quality.py.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from lookbook.judgment import GroundTruth, Judgment, settle
from lookbook.prediction import day as day_of
from lookbook.prediction import first_id, permanent_random
from lookbook.store import Comparison, DayFrame, Flip, Query, Sample, SampledDay, Store
from lookbook.truth.drift import Drift, detect
from lookbook.truth.flips import Flips, Pair
from lookbook.truth.frame import FRAME_ROWS, Frame, Scores, build_frame, decode, decode_scores, encode

DAY_SECONDS = 24 * 60 * 60
# A day is closed (its samples no longer change) this long after its end, because clocks differ.
CLOSING_SECONDS = 20 * 60
MAX_DRIFT_DAYS = 730

_LAST_DAY = (date.max - date(1970, 1, 1)).days
_FLIPS_AT_ONCE = 100  # whose ground truths are read

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Window:
    """The days from `since` to `until`, inclusive, of one model version; days as in prediction.day()."""

    model_name: str
    model_version: str
    since: int
    until: int

    @property
    def model(self) -> tuple[str, str]:
        return self.model_name, self.model_version

    @property
    def bounds(self) -> tuple[UUID, UUID]:
        """The ids are from the first, inclusive, to the second, exclusive."""
        since, until = (first_id(_moment(min(day, _LAST_DAY))) for day in (self.since, self.until + 1))
        return since, until

    def day(self, number: int) -> SampledDay:
        return SampledDay(number, self.model_name, self.model_version)


@dataclass(frozen=True, slots=True)
class SettledSample:
    """A sample, the probability that it is in the frame of its day, and its ground truth."""

    sample: Sample
    inclusion: float
    truth: GroundTruth | None


def today(clock: Clock = time.time) -> int:
    return int(clock() // DAY_SECONDS)


def is_closed(day: int, clock: Clock = time.time) -> bool:
    return clock() >= (day + 1) * DAY_SECONDS + CLOSING_SECONDS


def first_whole_day(retention: int, clock: Clock = time.time) -> int:
    """The first day from which no prediction has expired; `retention` is in seconds, 0 means forever."""
    if not retention:
        return 0
    # Today is always included, even if some of its predictions have expired.
    return min(int((clock() - retention) // DAY_SECONDS) + 1, today(clock))


def sampled_models(store: Store, since: int, until: int) -> dict[tuple[str, str], list[int]]:
    """The sampled days by name and version of the model, newest first."""
    found: dict[tuple[str, str], list[int]] = {}
    for day in store.sampled_days(since, until):
        found.setdefault((day.model_name, day.model_version), []).append(day.day)
    return found


def load_frames(store: Store, window: Window, days: Sequence[int], clock: Clock = time.time) -> list[Frame]:
    """The frames of these days. A closed day is read from its samples only once, and kept as a frame."""
    kept = store.frames(window.model_name, window.model_version, window.since, window.until)
    return [_load_frame(store, window.day(day), kept.get(day), clock) for day in days]


def _load_frame(store: Store, day: SampledDay, kept: DayFrame | None, clock: Clock) -> Frame:
    with suppress(ValueError):  # of another format
        if kept is not None:
            return decode(day.day, kept.scores, kept.ids)
    read_at = time.time_ns() // 1_000
    frame = build_frame(day.day, store.samples(day, FRAME_ROWS + 1))
    if is_closed(day.day, clock):
        store.put_frame(day, DayFrame(*encode(frame)), read_at)
    return frame


def load_truths(
    store: Store, window: Window, frames: Sequence[Frame], as_of: datetime | None = None
) -> dict[UUID, GroundTruth]:
    """The ground truths of the frames' predictions, from the judgments made until `as_of`."""
    found: dict[UUID, GroundTruth] = {}
    for frame in frames:
        found |= _truths_of_day(store, window.day(frame.day), frame.limit, as_of)
    return found


def _truths_of_day(store: Store, day: SampledDay, below: float, as_of: datetime | None) -> dict[UUID, GroundTruth]:
    judgments: dict[UUID, list[Judgment]] = {}
    for judgment in store.sampled_judgments(day, below):
        judgments.setdefault(judgment.prediction, []).append(judgment)
    truths = {id: settle(given, as_of) for id, given in judgments.items()}
    return {id: truth for id, truth in truths.items() if truth}


def settled_samples(store: Store, window: Window, after: UUID | None, page: int) -> Iterator[SettledSample]:
    """The samples of the frames after the one with id `after`: the newest day first, in each day the smallest u first.

    `page` is how many to read at a time.
    """
    for number in sampled_models(store, window.since, window.until).get(window.model, []):
        if after and number > day_of(after):
            continue
        start = (permanent_random(after), after) if after and number == day_of(after) else None
        yield from _settled_day(store, window.day(number), start, page)


def settled_page(
    store: Store, window: Window, after: UUID | None, limit: int
) -> tuple[list[SettledSample], UUID | None]:
    """The predictions of the window, sampled or not, among the next `limit` of all models, the newest first.

    Each stands for itself alone. Also returns the id after which the next page begins; None on the last page.
    """
    since, until = window.bounds
    page = store.page(Query(limit, after, since=since, until=until))
    found = [
        SettledSample(Sample(item.id, item.top, 1.0), 1.0, page.truths.get(item.id))
        for item in page.items
        if (item.model_name, item.model_version) == window.model
    ]
    return found, page.next


def _settled_day(store: Store, day: SampledDay, after: tuple[float, UUID] | None, page: int) -> Iterator[SettledSample]:
    [frame] = load_frames(store, Window(day.model_name, day.model_version, day.day, day.day), [day.day])
    while samples := [one for one in store.samples(day, page, after) if one.u < frame.limit]:
        truths = _truths_of_day(store, day, math.nextafter(samples[-1].u, 1), None)
        for sample in samples:
            yield SettledSample(sample, min(sample.rate, frame.limit), truths.get(sample.id))
        after = (samples[-1].u, samples[-1].id)


@dataclass(frozen=True, slots=True)
class DriftReference:
    """The day from which drift is measured; `id` and `annotator` are set if somebody started the reference."""

    since: int
    id: UUID | None = None
    annotator: str = ""


def drift_reference(store: Store, model: tuple[str, str]) -> DriftReference | None:
    """The newest reference that somebody started, else the first sampled day; None if the model has no samples."""
    known = store.drift_references(*model)
    if known:
        id, annotator = known[0]
        return DriftReference(day_of(id), id, annotator)
    days = sampled_models(store, today() - MAX_DRIFT_DAYS, today()).get(model)
    return DriftReference(days[-1]) if days else None


def measure_drift(
    store: Store, model: tuple[str, str], reference: DriftReference | None, clock: Clock = time.time
) -> Drift:
    """The drift in the closed days since the start of the reference, at most two years."""
    if reference is None:
        return detect({})
    window = Window(*model, max(reference.since, today(clock) - MAX_DRIFT_DAYS), today(clock))
    days = [day for day in sampled_models(store, window.since, window.until).get(model, []) if is_closed(day, clock)]
    kept = store.frame_scores(*model, window.since, window.until)
    return detect({day: _load_scores(store, window.day(day), kept.get(day), clock) for day in days})


def _load_scores(store: Store, day: SampledDay, kept: bytes | None, clock: Clock) -> Scores:
    with suppress(ValueError):  # of another format
        if kept is not None:
            return decode_scores(kept)
    return _load_frame(store, day, None, clock).scores


def date_of(day: int) -> str:
    """The day as text, such as 2026-11-26."""
    return _moment(day).date().isoformat()


def _moment(day: int) -> datetime:
    """When the day begins."""
    return datetime.fromtimestamp(day * DAY_SECONDS, UTC)


def judge_flips(store: Store, comparison: Comparison, flips: Sequence[Flip]) -> Flips:
    """What the judgments say about a comparison; raises ValueError if its report lacks the agreement of the models."""
    report = json.loads(comparison.report)
    agreement = _agreement(report)
    inclusion = {} if report.get("all_inputs") is True else _inclusion(store, comparison, flips)
    pairs = [
        Pair(
            flip.prediction,
            permanent_random(flip.prediction),
            inclusion.get(flip.prediction, 1.0),
            flip.baseline_label,
            flip.candidate_label,
        )
        for flip in flips
    ]
    return Flips(pairs, _first_truths(store, flips), 1 - agreement[0], agreement[1])


def _agreement(report: Mapping[str, Any]) -> tuple[float, float]:
    """The share of predictions with the same label, and its effective sample size, as truth.replay reports them."""
    try:
        found = report["agreement"]
        share, size = float(found["estimate"]), float(found["effective_sample_size"])
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("the report has no agreement") from error
    if not (0 <= share <= 1 and 0 < size < math.inf):
        raise ValueError("the agreement in the report is out of range")
    return share, size


def _inclusion(store: Store, comparison: Comparison, flips: Sequence[Flip]) -> dict[UUID, float]:
    """The probabilities with which the predictions in the frames of the flips' days came into them."""
    name, _, version = comparison.baseline.rpartition("/")
    days = {day_of(flip.prediction) for flip in flips}
    if not days:
        return {}
    window = Window(name, version, min(days), max(days))
    sampled = sampled_models(store, window.since, window.until).get(window.model, [])
    return {
        UUID(bytes=id): float(inclusion)
        for frame in load_frames(store, window, [day for day in sampled if day in days])
        for id, inclusion in zip(frame.ids.tolist(), frame.scores.inclusion, strict=True)
    }


def _first_truths(store: Store, flips: Sequence[Flip]) -> dict[UUID, GroundTruth]:
    """The ground truths of the flips up to the first that has none; later ones do not count."""
    found: dict[UUID, GroundTruth] = {}
    for start in range(0, len(flips), _FLIPS_AT_ONCE):
        part = store.truths([flip.prediction for flip in flips[start : start + _FLIPS_AT_ONCE]])
        found |= part
        if len(part) < _FLIPS_AT_ONCE:
            break
    return found
