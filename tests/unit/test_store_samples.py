"""Samples, inputs, and frames, on both stores."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from lookbook.prediction import permanent_random
from lookbook.store import DayFrame, Entry, Input, Sample, SampledDay, Store
from lookbook.store.cassandra.connection import Connection

from tests.support.predictions import made_at
from tests.support.running import until
from tests.support.truths import day_of, sampled, today

NOON = today()
FRAME = DayFrame(b"scores", b"ids")


def samples_of(entries: list[Entry]) -> list[Sample]:
    return [Sample(item.prediction.id, item.prediction.top, item.sampling_rate or 0) for item in entries]


def microseconds() -> int:
    return time.time_ns() // 1000


@pytest.mark.parametrize("shards", [1, 5])
@pytest.mark.parametrize("limit", [1, 3, 8, 100])
def test_samples_are_listed_smallest_u_first(open_store: Callable[..., Store], shards: int, limit: int) -> None:
    store = open_store(shards=shards)
    entries = sampled(NOON, 20, shards)
    store.put_all([*entries, Entry(made_at(NOON))])
    day = day_of(entries[0].prediction)
    found: list[Sample] = []
    while page := store.samples(day, limit, (found[-1].u, found[-1].id) if found else None):
        assert len(page) <= limit
        found += page
    assert found == samples_of(entries)
    assert [(sample.u, sample.label, sample.score) for sample in found] == [
        (permanent_random(sample.id), "Bag", 0.75) for sample in found
    ]


@pytest.mark.cassandra
@pytest.mark.parametrize("open_store", ["cassandra"], indirect=True)
def test_reading_samples_of_many_shards_reads_few_rows(
    open_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(shards=8)
    entries = sampled(NOON, 800, shards=8)
    for start in range(0, len(entries), 100):
        store.put_all(entries[start : start + 100])
    execute, read = Connection.execute, []

    def counted(connection: Connection, name: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        read.append(execute(connection, name, values))
        return read[-1]

    monkeypatch.setattr(Connection, "execute", counted)
    assert store.samples(day_of(entries[0].prediction), 100) == samples_of(entries[:100])
    # A shard would need 30 of the 100, 2.4 times its part, to be read twice: about once in 100,000 runs.
    assert len(read) == 1
    assert len(read[0]) <= 2 * 100 + 5 * 8


def test_days_with_samples_are_listed_newest_first(store: Store) -> None:
    first = [sampled(NOON - timedelta(days=ago), 1)[0] for ago in (0, 1, 1, 9, 400)]
    store.put_all([*first, Entry(made_at(NOON - timedelta(days=3)))])
    days = [day_of(entry.prediction) for entry in first]
    assert store.sampled_days(days[4].day, days[0].day) == [days[0], days[1], days[3], days[4]]
    assert store.sampled_days(days[3].day, days[1].day) == [days[1], days[3]]
    assert store.sampled_days(-(10**9), 10**9) == [days[0], days[1], days[3], days[4]]
    assert store.sampled_days(days[0].day, days[1].day) == []


def test_a_prediction_that_exists_is_not_sampled_again(store: Store) -> None:
    (entry,) = sampled(NOON, 1)
    assert store.put_if_absent(Entry(entry.prediction)) == entry.prediction
    assert store.put_if_absent(entry) == entry.prediction
    assert store.samples(day_of(entry.prediction), 10) == []
    assert store.input(entry.prediction.id) is None


def test_a_prediction_that_did_not_exist_is_sampled(store: Store) -> None:
    (entry,) = sampled(NOON, 1)
    assert store.put_if_absent(entry) == entry.prediction
    assert store.samples(day_of(entry.prediction), 10) == samples_of([entry])
    assert store.input(entry.prediction.id) == entry.input


def test_an_input_is_kept_without_a_sample(store: Store) -> None:
    prediction = made_at(NOON)
    store.put(Entry(prediction, input=Input("original", b"bytes")))
    assert store.input(prediction.id) == Input("original", b"bytes")
    assert store.samples(day_of(prediction), 10) == []


def test_a_deletion_takes_sample_and_input(store: Store) -> None:
    gone, kept = sampled(NOON, 2)
    store.put_all([gone, kept])
    assert store.delete(gone.prediction.id)
    assert store.samples(day_of(gone.prediction), 10) == samples_of([kept])
    assert store.input(gone.prediction.id) is None
    assert store.input(kept.prediction.id) == kept.input


def test_samples_and_inputs_expire(open_store: Callable[..., Store]) -> None:
    store = open_store(retention=2)
    (entry,) = sampled(NOON, 1)
    store.put(entry)
    assert store.input(entry.prediction.id) == entry.input
    until(lambda: store.samples(day_of(entry.prediction), 10) == [] and not store.input(entry.prediction.id), 10)


def test_frames_are_kept(store: Store) -> None:
    today = SampledDay(20_000, "model", "1.2.3")
    store.put_frame(today, FRAME, microseconds())
    store.put_frame(SampledDay(20_001, "model", "1.2.3"), FRAME, microseconds())
    store.put_frame(SampledDay(20_000, "model", "2.0.0"), FRAME, microseconds())
    assert store.frames("model", "1.2.3", 19_000, 20_000) == {20_000: FRAME}
    assert store.frame_scores("model", "1.2.3", 20_000, 21_000) == {20_000: b"scores", 20_001: b"scores"}


def test_a_deletion_takes_the_frame_of_its_day(store: Store) -> None:
    gone, kept = sampled(NOON, 2)
    store.put_all([gone, kept])
    day = day_of(gone.prediction)
    read_at = microseconds()
    store.put_frame(day, FRAME, read_at)
    assert store.delete(gone.prediction.id)
    assert store.frames("model", "1.2.3", day.day, day.day) == {}
    store.put_frame(day, FRAME, read_at)  # by another process, which read the samples before
    assert store.frames("model", "1.2.3", day.day, day.day) == {}


def test_a_deletion_outside_the_sample_keeps_the_frame(store: Store) -> None:
    (kept,), gone = sampled(NOON, 1), made_at(NOON)
    store.put_all([kept, Entry(gone)])
    day = day_of(gone)
    store.put_frame(day, FRAME, microseconds())
    assert store.delete(gone.id)
    assert store.frames("model", "1.2.3", day.day, day.day) == {day.day: FRAME}
