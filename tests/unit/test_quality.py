"""Frames and ground truths, read from each real store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from lookbook.prediction import Prediction, created_at, permanent_random
from lookbook.quality import (
    DriftReference,
    Window,
    drift_reference,
    first_whole_day,
    is_closed,
    load_frames,
    load_truths,
    measure_drift,
    sampled_models,
    settled_samples,
    today,
)
from lookbook.store import Entry, Store
from lookbook.truth.frame import FRAME_ROWS, Frame

from tests.support.truths import judge, sampled

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
DAY = timedelta(days=1)
TODAY = today()


def clock() -> float:
    """Noon, so that yesterday is closed."""
    return NOON.timestamp()


def window(since: int = TODAY - 27, until: int = TODAY) -> Window:
    return Window("model", "1.2.3", since, until)


def fill(store: Store, days_ago: int, count: int) -> list[UUID]:
    entries = sampled(NOON - days_ago * DAY, count)
    store.put_all(entries)
    return [entry.prediction.id for entry in entries]


def ids(frame: Frame) -> list[UUID]:
    return [frame.id(row) for row in range(len(frame))]


def test_a_closed_day_is_read_once(store: Store) -> None:
    before, current = fill(store, 2, 5), fill(store, 0, 3)
    days = sampled_models(store, TODAY - 27, TODAY)[("model", "1.2.3")]
    assert days == [TODAY, TODAY - 2]
    for _ in range(2):
        open_day, closed = load_frames(store, window(), days, clock)
        assert (ids(closed), ids(open_day)) == (before, current)
        # What is written after a day is closed comes too late; the day that is not over is read again.
        store.put_all(sampled(NOON - 2 * DAY + timedelta(hours=1), 1))
        current = sorted([*current, fill_one(store)], key=permanent_random)
    assert store.frames("model", "1.2.3", TODAY - 27, TODAY).keys() == {TODAY - 2}


def fill_one(store: Store) -> UUID:
    [entry] = sampled(NOON + timedelta(hours=1) + timedelta(microseconds=datetime.now(UTC).microsecond), 1)
    store.put(entry)
    return entry.prediction.id


def test_a_day_is_closed_twenty_minutes_after_its_end() -> None:
    end = (TODAY + 1) * 86_400
    assert not is_closed(TODAY, lambda: end + 20 * 60 - 1)
    assert is_closed(TODAY, lambda: end + 20 * 60)


def test_a_day_of_which_predictions_have_expired_is_left_out() -> None:
    now = TODAY * 86_400 + 3_600
    assert first_whole_day(0, lambda: now) == 0
    assert first_whole_day(7 * 86_400, lambda: now) == TODAY - 6
    assert first_whole_day(7 * 86_400, lambda: TODAY * 86_400) == TODAY - 6
    assert first_whole_day(600, lambda: now) == TODAY


def test_a_prediction_that_is_deleted_leaves_its_frame(store: Store) -> None:
    [entry, other] = sampled(NOON - 3 * DAY, 2)
    store.put_all([entry, other])
    judge(store, entry.prediction, "Bag")
    judge(store, other.prediction, "Bag")
    days = [TODAY - 3]
    frames = load_frames(store, window(), days, clock)
    assert load_truths(store, window(), frames).keys() == {entry.prediction.id, other.prediction.id}
    store.delete(entry.prediction.id)
    frames = load_frames(store, window(), days, clock)
    assert ids(frames[0]) == [other.prediction.id]
    assert load_truths(store, window(), frames).keys() == {other.prediction.id}


def test_ground_truths_are_known_as_of_a_time(store: Store) -> None:
    [entry] = sampled(NOON - DAY, 1)
    store.put(entry)
    first = judge(store, entry.prediction, "Bag")
    judge(store, entry.prediction, "Coat")
    frames = load_frames(store, window(), [TODAY - 1])
    assert load_truths(store, window(), frames)[entry.prediction.id].label == "Coat"
    assert load_truths(store, window(), frames, created_at(first.id))[entry.prediction.id].label == "Bag"
    assert load_truths(store, window(), frames, NOON - DAY) == {}


def test_two_versions_of_a_day_have_frames_of_their_own(store: Store) -> None:
    old = sampled(NOON - DAY, 4)
    store.put_all(old)
    new = [Entry(_next_version(entry), None, 0.5) for entry in sampled(NOON - DAY + timedelta(hours=2), 3)]
    store.put_all(new)
    models = sampled_models(store, TODAY - 1, TODAY)
    assert models == {("model", "1.2.3"): [TODAY - 1], ("model", "2.0.0"): [TODAY - 1]}
    for version, entries in (("1.2.3", old), ("2.0.0", new)):
        [frame] = load_frames(store, Window("model", version, TODAY - 1, TODAY), [TODAY - 1])
        assert ids(frame) == [entry.prediction.id for entry in entries]


def _next_version(entry: Entry) -> Prediction:
    return replace(entry.prediction, model_version="2.0.0")


def test_samples_are_walked_day_by_day_and_a_thousand_of_each(store: Store) -> None:
    entries = sampled(NOON - DAY, FRAME_ROWS + 3, shards=4)
    store.put_all(entries)
    newer = fill(store, 0, 3)
    judge(store, entries[1].prediction, "Coat")
    found = list(settled_samples(store, window(), None, 400))
    wanted = newer + [entry.prediction.id for entry in entries[:FRAME_ROWS]]
    assert [one.sample.id for one in found] == wanted
    assert [one.sample.id for one in found if one.truth] == [entries[1].prediction.id]
    limit = permanent_random(entries[FRAME_ROWS].prediction.id)
    assert {one.inclusion for one in found[3:]} == {min(0.5, limit)}
    rest = list(settled_samples(store, window(), found[6].sample.id, 400))
    assert [one.sample.id for one in rest] == wanted[7:]


def test_drift_is_measured_from_the_start_of_its_reference(store: Store) -> None:
    model = ("model", "1.2.3")
    assert drift_reference(store, model) is None
    assert measure_drift(store, model, None, clock).status == "learning"
    for days_ago in range(1, 17):
        fill(store, days_ago, 100)
    fill(store, 0, 100)
    reference = drift_reference(store, model)
    assert reference == DriftReference(TODAY - 16)
    drift = measure_drift(store, model, reference, clock)
    # Today is not over.
    assert (len(drift.reference), len(drift.steps), drift.status) == (14, 2, "stable")
    assert store.frame_scores(*model, TODAY - 16, TODAY).keys() == set(range(TODAY - 16, TODAY))
    [entry] = sampled(NOON - 3 * DAY, 1)
    store.put_drift_reference(*model, entry.prediction.id, "ana")
    reference = drift_reference(store, model)
    assert reference == DriftReference(TODAY - 3, entry.prediction.id, "ana")
    assert len(measure_drift(store, model, reference, clock).reference) == 3
