"""Batch jobs, on both stores."""

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner
from lookbook.cli.main import main
from lookbook.job import Job, now
from lookbook.prediction import Prediction, first_id, sort_key
from lookbook.store import DayFrame, Entry, Input, Store
from lookbook.store.sqlite import SqliteStore

from tests.support.predictions import fill, made_at, walk
from tests.support.running import until
from tests.support.truths import day_of

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def entry(job: Job, path: str, label: str = "Bag") -> Entry:
    prediction = replace(made_at(START, label=label, name=path), id=job.id_of(path))
    return Entry(prediction, b"thumbnail", 0.5, Input("original", path.encode()))


def test_a_name_is_bound_to_its_first_job(store: Store) -> None:
    first, other = Job("spring", now(), "one", 10), Job("fall", now() + timedelta(seconds=1), "two", 20)
    assert store.start_job(first) == first
    assert store.start_job(replace(first, started_at=now(), bundle="two")) == first
    assert store.start_job(other) == other
    assert store.jobs() == [other, first]
    assert store.job(first.tag) == first
    assert store.job(first.tag ^ 1) is None


def test_predictions_of_a_job_are_stored_with_all_their_parts(store: Store) -> None:
    job = Job("spring", now(), "digest", 2)
    entries = [entry(job, "a.jpg"), entry(job, "b.jpg")]
    store.put_job(job, entries)
    for item in entries:
        id = item.prediction.id
        assert store.get(id) == item.prediction
        assert store.thumbnail(id) == b"thumbnail"
        assert store.input(id) == item.input
    ids = {item.prediction.id for item in entries}
    assert {sample.id for sample in store.samples(day_of(entries[0].prediction), 10)} <= ids
    other = made_at(START).id
    assert store.existing([*ids, other]) == ids


def test_storing_a_batch_again_changes_nothing(store: Store) -> None:
    job = Job("spring", now(), "digest", 1)
    for _ in range(2):
        store.put_job(job, [entry(job, "a.jpg")])
    assert walk(store, 10) == [entry(job, "a.jpg").prediction]


def test_what_was_deleted_does_not_come_back(store: Store) -> None:
    job = Job("spring", now(), "digest", 2)
    entries = [entry(job, "a.jpg"), entry(job, "b.jpg")]
    store.put_job(job, entries)
    gone = entries[0].prediction
    store.delete(gone.id)
    store.put_job(job, entries)
    assert walk(store, 10) == [entries[1].prediction]
    assert store.thumbnail(gone.id) is None
    assert store.input(gone.id) is None
    assert gone.id not in {sample.id for sample in store.samples(day_of(gone), 10)}


def test_retention_counts_from_the_start(open_store: Callable[..., Store]) -> None:
    store = open_store(retention=60)
    old, recent = Job("old", now() - timedelta(seconds=57), "digest", 1), Job("recent", now(), "digest", 1)
    for job in (old, recent):
        store.put_job(job, [entry(job, "a.jpg")])
    until(lambda: store.get(old.id_of("a.jpg")) is None, 10)
    assert store.get(recent.id_of("a.jpg"))


def test_a_job_may_be_resumed_while_deletions_are_remembered(open_store: Callable[..., Store]) -> None:
    assert open_store(retention=0).resume_seconds() >= 24 * 60 * 60


@pytest.mark.parametrize("count", [1, 3, 100])
def test_ranges_cover_everything_once(store: Store, count: int) -> None:
    predictions = fill(store, [START + timedelta(minutes=17 * number) for number in range(40)], shards=2)
    ranges = store.ranges(None, None, count)
    assert 1 <= len(ranges) <= count
    assert read(store, ranges) == predictions
    since, end = first_id(START + timedelta(hours=1)), first_id(START + timedelta(hours=9))
    inside = [item for item in predictions if sort_key(since) <= sort_key(item.id) < sort_key(end)]
    assert read(store, store.ranges(since, end, count)) == inside


def read(store: Store, ranges: list[tuple[UUID, UUID]]) -> list[Prediction]:
    found = [item for bounds in ranges for rows in store.scan(*bounds) for item in rows.predictions()]
    return sorted(found, key=lambda item: sort_key(item.id), reverse=True)


def test_an_empty_store_has_no_ranges(store: Store) -> None:
    assert store.ranges(None, None, 4) == []


def test_a_job_of_a_day_that_is_closed_renews_its_frame(store: Store) -> None:
    job = Job("spring", now(), "digest", 1)
    item = entry(job, "a.jpg")
    day = day_of(item.prediction)
    store.put_frame(day, DayFrame(b"scores", b"ids"), int((now().timestamp() - 5) * 1e6))
    store.put_job(job, [item])
    assert store.frames(day.model_name, day.model_version, day.day, day.day) == {}
    # By a server that had read the samples before.
    store.put_frame(day, DayFrame(b"scores", b"ids"), int((now().timestamp() - 5) * 1e6))
    assert store.frames(day.model_name, day.model_version, day.day, day.day) == {}


def test_jobs_are_listed(tmp_path: Path) -> None:
    path = str(tmp_path / "store.sqlite")
    with closing(SqliteStore(path, lambda _: None)) as store:
        store.start_job(Job("spring 2026", START, "digest", 20))
    result = CliRunner(env={"LOOKBOOK_SQLITE_PATH": path}).invoke(main, ["batch", "list"])
    assert result.exit_code == 0
    started = START.astimezone().isoformat(" ", "seconds")
    assert [line.split() for line in result.output.splitlines()] == [
        ["job", "started", "images", "bundle"],
        ["spring", "2026", *started.split(), "20", "digest"],
    ]
    assert logging.root.isEnabledFor(logging.CRITICAL)  # it is quiet only while the store is open
