"""What reading a page costs in Cassandra; what it contains is tested in test_store.py."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cassandra.cluster import Session
from cassandra.query import BatchStatement, BatchType
from lookbook.prediction import Prediction, bucket, id_maker, sort_key
from lookbook.settings import Settings
from lookbook.store import Entry, Page, Query, Store
from lookbook.store.cassandra import CassandraStore
from lookbook.store.cassandra.connection import Connection
from lookbook.store.cassandra.schema import apply_schema

from tests.support.predictions import fill, made_at, walk
from tests.support.running import until

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

pytestmark = pytest.mark.cassandra

on_cassandra = pytest.mark.parametrize("open_store", ["cassandra"], indirect=True)


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each read of predictions returned."""
    counts: list[int] = []
    execute = Connection.execute

    def counted(connection: Connection, name: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        rows = execute(connection, name, values)
        if name == "list":
            counts.append(len(rows))
        return rows

    monkeypatch.setattr(Connection, "execute", counted)
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
        list(pool.map(lambda row: store.put(Entry(row)), rows))
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


@pytest.fixture
def ten_seconds(cassandra: Settings, cassandra_session: Session) -> Iterator[Settings]:
    """Settings with a short retention, and tables that fit it."""
    settings = replace(cassandra, retention=10)
    apply_schema(cassandra_session, settings)
    yield settings
    apply_schema(cassandra_session, cassandra)


def test_a_page_skips_many_expired_rows(ten_seconds: Settings, cassandra_session: Session) -> None:
    with closing(CassandraStore(ten_seconds, lambda _: None)) as store:
        until(lambda: store.status().reached)
        (row,) = fill(store, [START])
        # Cassandra aborts a read that meets 100,000 tombstones. Each of these rows makes seven.
        insert = cassandra_session.prepare(
            f"INSERT INTO {ten_seconds.cassandra_keyspace}.predictions"
            " (bucket, shard, id, file_name, labels, scores, model_name, model_version)"
            " VALUES (?, 0, ?, 'a', ['Bag'], [1.0], 'm', '1') USING TTL 10"
        )
        make = id_maker(1, clock=lambda: int((START - timedelta(seconds=10)).timestamp() * 10**9))
        for _ in range(200):
            batch = BatchStatement(BatchType.UNLOGGED)
            for _ in range(100):
                batch.add(insert, (bucket(row.id) - 1, make()))
            cassandra_session.execute(batch, timeout=10)
        store.put(Entry(made_at(START - timedelta(seconds=5))))
        until(lambda: store.page(Query(10)) == Page((), None), 30)
