"""Reading everything in columns, on both stores."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from lookbook.prediction import Prediction, first_id, id_maker, sort_key
from lookbook.store import Entry, Store, rows
from lookbook.store.cassandra import scanner
from lookbook.store.rows import Rows, ids_of, sort_keys

from tests.support.predictions import fill, made_at

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def scanned(store: Store, since: UUID | None = None, until: UUID | None = None) -> list[Prediction]:
    return [found for batch in store.scan(since, until) for found in batch.predictions()]


def newest_first(predictions: list[Prediction]) -> list[Prediction]:
    return sorted(predictions, key=lambda prediction: sort_key(prediction.id), reverse=True)


def test_an_empty_store_has_no_rows(store: Store) -> None:
    assert list(store.scan()) == []


def test_all_values_are_read(store: Store) -> None:
    prediction = replace(made_at(START, name="\N{SNOWMAN}'\"\n.png"), top=(('"Hat"', 1 / 3), ("Bag", 1e-7)))
    store.put(Entry(prediction, b"thumbnail"))
    (batch,) = store.scan()
    assert isinstance(batch, Rows)
    assert (len(batch), batch.ids) == (1, prediction.id.bytes)
    assert list(batch.predictions()) == [prediction]


def test_rows_over_months_come_newest_first(store: Store) -> None:
    moments = [START - timedelta(hours=hour**2) for hour in range(100)]
    filled = fill(store, moments, shards=4)
    assert scanned(store) == filled


def test_since_is_inclusive_and_until_is_not(store: Store) -> None:
    first, second, third = (made_at(START + timedelta(seconds=second)) for second in range(3))
    store.put_all([Entry(one) for one in (first, second, third)])
    assert scanned(store, since=second.id) == [third, second]
    assert scanned(store, until=second.id) == [first]
    assert scanned(store, since=first_id(START + timedelta(seconds=1)), until=third.id) == [second]


def test_deleted_rows_are_not_read(store: Store) -> None:
    kept, gone = made_at(START), made_at(START + timedelta(seconds=1))
    store.put_all([Entry(kept), Entry(gone)])
    store.delete(gone.id)
    assert scanned(store) == [kept]


@pytest.mark.parametrize("shards", [1, 3, 64])
def test_batches_are_complete_and_in_order(
    open_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    monkeypatch.setattr(scanner, "_READ_ROWS", 200)
    monkeypatch.setattr("lookbook.store.sqlite.store.BATCH_ROWS", 200)
    store, make = open_store(shards=shards), id_maker(shards)
    made = newest_first([Prediction(make(), "", (("Bag", 1.0),), "model", "1.0.0") for _ in range(1_500)])
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda row: store.put(Entry(row)), made))
    batches = list(store.scan())
    assert max(map(len, batches)) <= rows.BATCH_ROWS
    assert len(batches) > 3
    assert [found for batch in batches for found in batch.predictions()] == made


def test_sort_keys_are_those_of_the_prediction() -> None:
    ids = [id_maker(shards)() for shards in (1, 256)] + [UUID(int=uuid4().int, version=1)]
    joined = b"".join(id.bytes for id in ids)
    assert ids_of(map(sort_key, ids)) == joined
    assert sort_keys(joined).astype(">u8").tobytes() == b"".join(map(sort_key, ids))
