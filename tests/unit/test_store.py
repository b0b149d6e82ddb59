"""The store's contract, on SQLite and on a real Cassandra."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lookbook.prediction import Prediction, first_id, id_maker, sort_key
from lookbook.store import MAX_ROWS, Entry, Page, Query, Status, Store

from tests.support.predictions import fill, made_at, walk
from tests.support.running import until

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def test_predictions_stored_together_are_returned(store: Store) -> None:
    make = id_maker(shards=2)
    entries = [Entry(replace(made_at(START), id=make()), thumbnail) for thumbnail in (b"one", None, b"three")]
    store.put_all(entries)
    for entry in entries:
        assert store.get(entry.prediction.id) == entry.prediction
        assert store.thumbnail(entry.prediction.id) == entry.thumbnail
    assert [item.id for item in store.page(Query(10)).items] == [entry.prediction.id for entry in entries[::-1]]


def test_a_stored_prediction_is_returned(store: Store) -> None:
    prediction = made_at(START, name="../../\ufffd\N{SNOWMAN}'; DROP TABLE predictions")
    store.put(Entry(prediction, b"thumbnail"))
    assert store.get(prediction.id) == prediction
    assert store.thumbnail(prediction.id) == b"thumbnail"
    assert store.page(Query(10)) == Page((prediction,), None)


def test_an_unknown_id_is_not_found(store: Store) -> None:
    id = made_at(START).id
    assert store.get(id) is None
    assert store.thumbnail(id) is None
    assert store.delete(id) is False


def test_storing_a_prediction_twice_changes_nothing(store: Store) -> None:
    prediction = made_at(START)
    store.put(Entry(prediction, b"one"))
    store.put(Entry(prediction, b"one"))
    assert store.page(Query(10)).items == (prediction,)


def test_a_prediction_is_deleted_with_its_thumbnail(store: Store) -> None:
    kept, gone = made_at(START), made_at(START + timedelta(seconds=1))
    for prediction in (kept, gone):
        store.put(Entry(prediction, b"thumbnail"))
    assert store.delete(gone.id) is True
    assert store.get(gone.id) is None
    assert store.thumbnail(gone.id) is None
    assert store.delete(gone.id) is False
    assert walk(store, 10) == [kept]


def test_a_prediction_with_a_key_can_be_deleted_at_once(store: Store) -> None:
    prediction = made_at(START)
    assert store.put_if_absent(Entry(prediction)) == prediction
    assert store.delete(prediction.id) is True
    assert store.get(prediction.id) is None


def test_put_if_absent_returns_the_stored_prediction(store: Store) -> None:
    first = made_at(START, name="first")
    second = Prediction(first.id, "second", first.top, "model", "2.0.0")
    assert store.put_if_absent(Entry(first)) == first
    assert store.put_if_absent(Entry(second)) == first
    assert store.get(first.id) == first


def test_a_key_is_bound_by_its_first_claim(store: Store) -> None:
    first, second = made_at(START).id, made_at(START).id
    assert store.claim("key", b"digest", first) == (first, b"digest")
    assert store.claim("key", b"other", second) == (first, b"digest")
    assert store.claim("another", b"other", second) == (second, b"other")


def test_a_deletion_is_recorded(store: Store) -> None:
    gone, never = made_at(START), made_at(START + timedelta(seconds=1))
    store.put(Entry(gone))
    assert not store.deleted(gone.id)
    assert store.delete(gone.id)
    assert not store.delete(never.id)
    assert store.deleted(gone.id)
    assert not store.deleted(never.id)


def test_concurrent_claims_agree(store: Store) -> None:
    ids = [made_at(START).id for _ in range(20)]
    claims: list[tuple[uuid.UUID, bytes]] = []
    threads = [threading.Thread(target=lambda id=id: claims.append(store.claim("k", b"d", id))) for id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claims) == 20
    assert len(set(claims)) == 1


@pytest.mark.parametrize("limit", [1, 7, 100])
@pytest.mark.parametrize(
    "step", [timedelta(milliseconds=1), timedelta(minutes=4), timedelta(hours=1), timedelta(days=40)], ids=str
)
def test_pages_hold_every_prediction_once_newest_first(store: Store, step: timedelta, limit: int) -> None:
    rows = fill(store, [START - i * step for i in range(50)])
    assert walk(store, limit) == rows


def test_pages_go_on_after_months_without_predictions(store: Store) -> None:
    clusters = [START, START - timedelta(days=200), START - timedelta(days=1500)]
    rows = fill(store, [moment - timedelta(seconds=i) for moment in clusters for i in range(30)])
    assert walk(store, 25) == rows


def test_shards_can_be_raised(open_store: Callable[..., Store]) -> None:
    before = fill(open_store(), [START - timedelta(seconds=i) for i in range(40)])
    later = open_store(shards=3)
    after = fill(later, [START + timedelta(seconds=i, milliseconds=i) for i in range(1, 40)], shards=3)
    rows = sorted(before + after, key=lambda row: sort_key(row.id), reverse=True)
    for limit in (1, 10, 100):
        assert walk(later, limit) == rows
    assert all(later.get(row.id) == row for row in rows)


def test_shards_can_be_lowered(open_store: Callable[..., Store]) -> None:
    store = open_store(shards=1)
    rows = fill(store, [START - timedelta(seconds=i) for i in range(40)], shards=63)
    assert walk(store, 7) == rows


def test_ids_of_one_moment_have_a_fixed_order(store: Store) -> None:
    rows = fill(store, [START] * 40)
    assert walk(store, 3) == rows


def test_a_cursor_need_not_be_a_stored_id(store: Store) -> None:
    rows = fill(store, [START - timedelta(minutes=i) for i in range(30)])
    between = first_id(START - timedelta(minutes=9, seconds=30))
    assert walk(store, 4, after=between) == rows[10:]
    store.delete(rows[12].id)
    assert walk(store, 4, after=rows[12].id) == rows[13:]


@pytest.mark.parametrize("after", ["00000000-0000-1000-8080-808080808080", "ffffffff-ffff-1fff-bf7f-7f7f7f7f7f7f"])
def test_the_lowest_and_the_highest_cursor(store: Store, after: str) -> None:
    rows = fill(store, [START])
    assert walk(store, 10, after=uuid.UUID(after)) == ([] if after.startswith("0") else rows)


def test_since_and_until_limit_the_pages(store: Store) -> None:
    rows = fill(store, [START - timedelta(hours=i) for i in range(48)])
    since, until = first_id(START - timedelta(hours=30)), first_id(START - timedelta(hours=10))
    assert walk(store, 7, since=since, until=until) == rows[11:31]
    assert walk(store, 7, since=until, until=since) == []


def test_pages_can_be_filtered_by_label(store: Store) -> None:
    rows = fill(store, [START - timedelta(minutes=3 * i) for i in range(60)])
    assert walk(store, 7, label="Coat") == [row for row in rows if row.label == "Coat"]
    assert walk(store, 7, label="Nothing") == []


def test_a_filtered_page_reads_a_bounded_number_of_rows(store: Store) -> None:
    fill(store, [START - timedelta(milliseconds=i) for i in range(MAX_ROWS + 500)])
    page = store.page(Query(10, label="Nothing"))
    assert page.items == ()
    assert page.next is not None
    assert store.page(Query(10, label="Nothing", after=page.next)) == Page((), None)


def test_a_prediction_stored_late_is_listed_in_its_place(store: Store) -> None:
    rows = fill(store, [START - timedelta(minutes=i) for i in range(20)])
    first = store.page(Query(5))
    late = made_at(START - timedelta(minutes=10, seconds=30))
    store.put(Entry(late))
    assert first.next == rows[4].id
    assert walk(store, 5, after=first.next) == [*rows[5:11], late, *rows[11:]]


def test_a_reopened_store_has_every_prediction(open_store: Callable[..., Store]) -> None:
    rows = fill(open_store(), [START - timedelta(minutes=i) for i in range(5)])
    assert walk(open_store(), 10) == rows


def test_predictions_expire(open_store: Callable[..., Store]) -> None:
    store = open_store(retention=2)
    prediction = made_at(datetime.now(UTC))
    store.put(Entry(prediction, b"thumbnail"))
    assert store.get(prediction.id) == prediction
    until(lambda: store.get(prediction.id) is None and store.thumbnail(prediction.id) is None, 10)
    assert store.page(Query(10)) == Page((), None)


def test_many_threads_store_at_once(store: Store) -> None:
    make = id_maker()
    stored: list[Prediction] = []

    def run() -> None:
        for _ in range(50):
            prediction = Prediction(make(), "", (("Bag", 1.0),), "model", "1.0.0")
            store.put(Entry(prediction))
            stored.append(prediction)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored) == 400
    assert {row.id for row in walk(store, 100)} == {row.id for row in stored}


def test_the_status_of_an_available_store(store: Store) -> None:
    assert store.status() == Status(reached=True, available=True, failure=None)
