from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from lookbook.store import Entry, Store

from tests.support.predictions import made_at, walk
from tests.support.running import until

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

pytestmark = [
    pytest.mark.cassandra,
    pytest.mark.parametrize("open_store", ["cassandra"], indirect=True),
]


@pytest.fixture(autouse=True)
def _no_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of the directory expire together with the rows that they were entered for."""
    monkeypatch.setattr("lookbook.store.cassandra.buckets.bucket_ttl", lambda retention: retention)


def test_a_lower_retention_hides_no_stored_prediction(open_store: Callable[..., Store]) -> None:
    kept, expiring = made_at(START), made_at(START + timedelta(seconds=1))
    open_store(retention=0).put(Entry(kept))
    store = open_store(retention=2)
    store.put(Entry(expiring))
    assert walk(store, 10) == [expiring, kept]
    until(lambda: store.get(expiring.id) is None, 10)
    until(lambda: walk(store, 10) == [kept], 10)


def test_a_higher_retention_keeps_its_predictions_in_the_list(open_store: Callable[..., Store]) -> None:
    expiring, kept = made_at(START), made_at(START + timedelta(seconds=1))
    open_store(retention=2).put(Entry(expiring))
    store = open_store(retention=60)
    store.put(Entry(kept))
    until(lambda: store.get(expiring.id) is None, 10)
    assert walk(store, 10) == [kept]
