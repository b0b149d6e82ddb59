"""The store's contract, on SQLite and on a real Cassandra."""

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cassandra.cluster import ResponseFuture, Session
from cassandra.query import BatchStatement, BatchType
from lookbook.prediction import Prediction, bucket, first_id, id_maker, sort_key
from lookbook.settings import Settings
from lookbook.store import MAX_ROWS, Page, Query, Status, Store
from lookbook.store.cassandra import CassandraStore
from lookbook.store.cassandra.connection import Connection
from lookbook.store.cassandra.schema import apply_schema

from tests.support.predictions import made_at, walk
from tests.support.running import until

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
LABELS = ("Bag", "Coat", "Dress")

on_cassandra = pytest.mark.parametrize(
    "open_store", [pytest.param("cassandra", marks=pytest.mark.cassandra)], indirect=True
)


def fill(store: Store, moments: list[datetime], shards: int = 1) -> list[Prediction]:
    """Store one prediction a moment, in mixed order; they come back newest first."""
    rows = [made_at(moment, shards, LABELS[i % 3]) for i, moment in enumerate(moments)]
    for row in rows[::2] + rows[1::2]:
        store.put(row, None)
    return sorted(rows, key=lambda row: sort_key(row.id), reverse=True)


def test_what_is_put_together_is_got(store: Store) -> None:
    make = id_maker(shards=2)
    entries = [(replace(made_at(START), id=make()), thumbnail) for thumbnail in (b"one", None, b"three")]
    store.put_all(entries)
    for prediction, thumbnail in entries:
        assert store.get(prediction.id) == prediction
        assert store.thumbnail(prediction.id) == thumbnail
    assert [item.id for item in store.page(Query(10)).items] == [entry.id for entry, _ in entries[::-1]]


def test_what_is_put_is_got(store: Store) -> None:
    prediction = made_at(START, name="../../\ufffd\N{SNOWMAN}'; DROP TABLE predictions")
    store.put(prediction, b"thumbnail")
    assert store.get(prediction.id) == prediction
    assert store.thumbnail(prediction.id) == b"thumbnail"
    assert store.page(Query(10)) == Page((prediction,), None)


def test_an_unknown_id_is_none(store: Store) -> None:
    id = made_at(START).id
    assert store.get(id) is None
    assert store.thumbnail(id) is None
    assert store.delete(id) is False


def test_putting_again_changes_nothing(store: Store) -> None:
    prediction = made_at(START)
    store.put(prediction, b"one")
    store.put(prediction, b"one")
    assert store.page(Query(10)).items == (prediction,)


def test_a_deleted_prediction_is_gone_with_its_thumbnail(store: Store) -> None:
    kept, gone = made_at(START), made_at(START + timedelta(seconds=1))
    for prediction in (kept, gone):
        store.put(prediction, b"thumbnail")
    assert store.delete(gone.id) is True
    assert store.get(gone.id) is None
    assert store.thumbnail(gone.id) is None
    assert store.delete(gone.id) is False
    assert walk(store, 10) == [kept]


def test_a_keyed_prediction_can_be_deleted_at_once(store: Store) -> None:
    prediction = made_at(START)
    assert store.put_if_absent(prediction, None) == prediction
    assert store.delete(prediction.id) is True
    assert store.get(prediction.id) is None


def test_put_if_absent_gives_what_stands_there(store: Store) -> None:
    first = made_at(START, name="first")
    second = Prediction(first.id, "second", first.top, "model", "2.0.0")
    assert store.put_if_absent(first, None) == first
    assert store.put_if_absent(second, None) == first
    assert store.get(first.id) == first


def test_a_key_belongs_to_its_first_claim(store: Store) -> None:
    first, second = made_at(START).id, made_at(START).id
    assert store.claim("key", b"digest", first) == (first, b"digest")
    assert store.claim("key", b"other", second) == (first, b"digest")
    assert store.claim("another", b"other", second) == (second, b"other")


def test_a_deletion_is_known(store: Store) -> None:
    gone, never = made_at(START), made_at(START + timedelta(seconds=1))
    store.put(gone, None)
    assert not store.deleted(gone.id)
    assert store.delete(gone.id)
    assert not store.delete(never.id)
    assert store.deleted(gone.id)
    assert not store.deleted(never.id)


def test_twenty_claims_at_once_agree(store: Store) -> None:
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
def test_a_walk_meets_every_row_once_newest_first(store: Store, step: timedelta, limit: int) -> None:
    rows = fill(store, [START - i * step for i in range(50)])
    assert walk(store, limit) == rows


def test_a_walk_crosses_months_of_silence(store: Store) -> None:
    clusters = [START, START - timedelta(days=200), START - timedelta(days=1500)]
    rows = fill(store, [moment - timedelta(seconds=i) for moment in clusters for i in range(30)])
    assert walk(store, 25) == rows


def test_shards_can_be_raised(open_store: Callable[..., Store]) -> None:
    before = fill(open_store(), [START - timedelta(seconds=i) for i in range(40)])
    later = open_store(shards=5)
    after = fill(later, [START + timedelta(seconds=i, milliseconds=i) for i in range(1, 40)], shards=5)
    rows = sorted(before + after, key=lambda row: sort_key(row.id), reverse=True)
    for limit in (1, 10, 100):
        assert walk(later, limit) == rows
    assert all(later.get(row.id) == row for row in rows)


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each read of predictions got from Cassandra."""
    counts: list[int] = []
    finish = Connection.finish

    def counted(connection: Connection, future: ResponseFuture) -> list:
        rows = finish(connection, future)
        if "predictions WHERE" in future.query.prepared_statement.query_string:
            counts.append(len(rows))
        return rows

    monkeypatch.setattr(Connection, "finish", counted)
    return counts


@on_cassandra
@pytest.mark.parametrize("shards", [2, 8, 64, 256])
def test_a_page_of_many_shards_reads_few_rows(
    open_store: Callable[..., Store], rows_read: list[int], shards: int
) -> None:
    store = open_store(shards=shards)
    make = id_maker(shards)
    ids = sorted((make() for _ in range(3_000)), key=sort_key, reverse=True)
    rows = [Prediction(id, "", (("Bag", 1.0),), "model", "1.0.0") for id in ids]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda row: store.put(row, None), rows))
    assert store.page(Query(100)).items == tuple(rows[:100])
    assert sum(rows_read) < 2 * 101 + 6 * shards * len(rows_read)
    assert len(rows_read) < 5
    assert walk(store, 500) == rows


@on_cassandra
def test_a_page_over_buckets_of_many_shards_reads_few_partitions(open_store: Callable[..., Store]) -> None:
    few = fill(open_store(), [START - i * timedelta(hours=1) for i in range(10, 40)])
    many = fill(open_store(shards=256), [START - i * timedelta(hours=1) for i in range(10)], 256)
    page = open_store().page(Query(30))
    assert 0 < len(page.items) < 10
    assert page.next is not None
    assert walk(open_store(), 30) == many + few


def test_shards_can_be_lowered(open_store: Callable[..., Store]) -> None:
    store = open_store(shards=1)
    rows = fill(store, [START - timedelta(seconds=i) for i in range(40)], shards=63)
    assert walk(store, 7) == rows


def test_ids_of_one_moment_are_in_cassandras_order(store: Store) -> None:
    rows = fill(store, [START] * 40)
    assert walk(store, 3) == rows


def test_a_cursor_need_not_be_a_row(store: Store) -> None:
    rows = fill(store, [START - timedelta(minutes=i) for i in range(30)])
    between = first_id(START - timedelta(minutes=9, seconds=30))
    assert walk(store, 4, after=between) == rows[10:]
    store.delete(rows[12].id)
    assert walk(store, 4, after=rows[12].id) == rows[13:]


@pytest.mark.parametrize("after", ["00000000-0000-1000-8080-808080808080", "ffffffff-ffff-1fff-bf7f-7f7f7f7f7f7f"])
def test_cursors_at_the_ends_of_time(store: Store, after: str) -> None:
    rows = fill(store, [START])
    assert walk(store, 10, after=uuid.UUID(after)) == ([] if after.startswith("0") else rows)


def test_since_and_until_bound_the_walk(store: Store) -> None:
    rows = fill(store, [START - timedelta(hours=i) for i in range(48)])
    since, until = first_id(START - timedelta(hours=30)), first_id(START - timedelta(hours=10))
    assert walk(store, 7, since=since, until=until) == rows[11:31]
    assert walk(store, 7, since=until, until=since) == []


def test_a_label_filters(store: Store) -> None:
    rows = fill(store, [START - timedelta(minutes=3 * i) for i in range(60)])
    assert walk(store, 7, label="Coat") == [row for row in rows if row.label == "Coat"]
    assert walk(store, 7, label="Nothing") == []


def test_a_filtered_page_reads_a_bounded_number_of_rows(store: Store) -> None:
    fill(store, [START - timedelta(milliseconds=i) for i in range(MAX_ROWS + 500)])
    page = store.page(Query(10, label="Nothing"))
    assert page.items == ()
    assert page.next is not None
    assert store.page(Query(10, label="Nothing", after=page.next)) == Page((), None)


def test_a_row_written_late_appears_in_its_place(store: Store) -> None:
    rows = fill(store, [START - timedelta(minutes=i) for i in range(20)])
    first = store.page(Query(5))
    late = made_at(START - timedelta(minutes=10, seconds=30))
    store.put(late, None)
    assert first.next == rows[4].id
    assert walk(store, 5, after=first.next) == [*rows[5:11], late, *rows[11:]]


def test_a_store_opened_again_has_everything(open_store: Callable[..., Store]) -> None:
    rows = fill(open_store(), [START - timedelta(minutes=i) for i in range(5)])
    assert walk(open_store(), 10) == rows


def test_rows_older_than_the_retention_are_gone(open_store: Callable[..., Store]) -> None:
    store = open_store(retention=2)
    prediction = made_at(datetime.now(UTC))
    store.put(prediction, b"thumbnail")
    assert store.get(prediction.id) == prediction
    until(lambda: store.get(prediction.id) is None and store.thumbnail(prediction.id) is None, 10)
    assert store.page(Query(10)) == Page((), None)


@on_cassandra
def test_a_lower_retention_hides_nothing_that_is_kept(
    open_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the time by which an entry of the directory outlives its rows.
    monkeypatch.setattr("lookbook.store.cassandra.buckets.bucket_ttl", lambda retention: retention)
    kept, gone = made_at(START), made_at(START + timedelta(seconds=1))
    open_store(retention=0).put(kept, None)
    store = open_store(retention=2)
    store.put(gone, None)
    assert walk(store, 10) == [gone, kept]
    until(lambda: store.get(gone.id) is None, 10)
    until(lambda: walk(store, 10) == [kept], 10)


@on_cassandra
def test_a_higher_retention_keeps_its_rows_in_the_list(
    open_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookbook.store.cassandra.buckets.bucket_ttl", lambda retention: retention)
    gone, kept = made_at(START), made_at(START + timedelta(seconds=1))
    open_store(retention=2).put(gone, None)
    store = open_store(retention=60)
    store.put(kept, None)
    until(lambda: store.get(gone.id) is None, 10)
    assert walk(store, 10) == [kept]


@pytest.fixture
def ten_seconds(cassandra: Settings, cassandra_session: Session) -> Iterator[Settings]:
    """Settings with a short retention, and tables for it."""
    settings = replace(cassandra, retention=10)
    apply_schema(cassandra_session, settings)
    yield settings
    apply_schema(cassandra_session, cassandra)


@pytest.mark.cassandra
def test_a_page_passes_over_many_expired_rows(ten_seconds: Settings, cassandra_session: Session) -> None:
    with closing(CassandraStore(ten_seconds, lambda _: None)) as store:
        until(lambda: store.status().reached)
        rows = fill(store, [START])
        # Cassandra gives a read up once it has met 100,000 tombstones: six in such a row, and the row.
        insert = cassandra_session.prepare(
            f"INSERT INTO {ten_seconds.cassandra_keyspace}.predictions"
            " (bucket, shard, id, file_name, labels, scores, model_name, model_version)"
            " VALUES (?, 0, ?, 'a', ['Bag'], [1.0], 'm', '1') USING TTL 10"
        )
        make = id_maker(1, clock=lambda: int((START - timedelta(seconds=10)).timestamp() * 10**9))
        for _ in range(200):
            batch = BatchStatement(BatchType.UNLOGGED)
            for _ in range(100):
                id = make()
                batch.add(insert, (bucket(rows[0].id) - 1, id))
            cassandra_session.execute(batch, timeout=10)
        store.put(made_at(START - timedelta(seconds=5)), None)
        until(lambda: store.page(Query(10)) == Page((), None), 30)


def test_many_threads_lose_nothing(store: Store) -> None:
    make = id_maker()
    stored: list[Prediction] = []

    def run() -> None:
        for _ in range(50):
            prediction = Prediction(make(), "", (("Bag", 1.0),), "model", "1.0.0")
            store.put(prediction, None)
            stored.append(prediction)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored) == 400
    assert {row.id for row in walk(store, 100)} == {row.id for row in stored}


def test_the_store_says_that_it_is_up(store: Store) -> None:
    assert store.status() == Status(reached=True, available=True, failure=None)


def test_a_bucket_is_ten_minutes() -> None:
    assert bucket(made_at(START).id) == bucket(made_at(START + timedelta(seconds=599)).id)
    assert bucket(made_at(START).id) + 1 == bucket(made_at(START + timedelta(seconds=600)).id)
