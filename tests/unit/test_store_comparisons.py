"""Comparisons, flips, and drift references, on both stores."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from lookbook.prediction import id_maker, permanent_random
from lookbook.store import Comparison, Entry, Flip, Store, deletion_key
from lookbook.store.cassandra import CassandraStore

from tests.support.predictions import made_at
from tests.support.running import until
from tests.support.truths import today

NOON = today()
BASELINE = "model/1.2.3"
make_id = id_maker()


def comparison(candidate: str = "model/2.0.0", baseline: str = BASELINE) -> Comparison:
    return Comparison(make_id(), baseline, candidate, '{"agreement": 1}')


def flips_of(store: Store, count: int) -> list[Flip]:
    """Flips of stored predictions, smallest `u` first."""
    predictions = [made_at(NOON + timedelta(milliseconds=number)) for number in range(count)]
    store.put_all([Entry(prediction) for prediction in predictions])
    predictions.sort(key=lambda prediction: permanent_random(prediction.id))
    return [Flip(prediction.id, "Bag", "Coat", 0.1 * number) for number, prediction in enumerate(predictions)]


def test_comparisons_are_listed_newest_first(store: Store) -> None:
    first, second, third = comparison(), comparison("other/1.0.0"), comparison()
    for item in (first, second, third, comparison(baseline="model/3.0.0")):
        store.put_comparison(item, [])
    assert store.comparisons(BASELINE, None, 10) == [third, second, first]
    assert store.comparisons(BASELINE, None, 2) == [third, second]
    assert store.comparisons(BASELINE, "model/2.0.0", 10) == [third, first]
    assert store.comparisons("model", None, 10) == []


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_flips_are_listed_smallest_u_first(store: Store, limit: int) -> None:
    flips, item = flips_of(store, 9), comparison()
    store.put_comparison(item, flips[::-1])
    store.put_comparison(comparison(), flips[:2])
    found: list[Flip] = []
    after = None
    while page := store.flips(item.id, limit, after):
        found += page
        after = (permanent_random(page[-1].prediction), page[-1].prediction)
    assert found == flips


def test_a_deletion_takes_the_flips(store: Store) -> None:
    gone, kept = flips_of(store, 2)
    items = [comparison(), comparison()]
    for item in items:
        store.put_comparison(item, [gone, kept])
    assert store.delete(gone.prediction)
    assert [store.flips(item.id, 10) for item in items] == [[kept], [kept]]


def test_a_prediction_that_was_deleted_does_not_flip(store: Store) -> None:
    gone, kept = flips_of(store, 2)
    assert store.delete(gone.prediction)
    item = comparison()
    store.put_comparison(item, [gone, kept])
    assert store.flips(item.id, 10) == [kept]


@pytest.mark.cassandra
@pytest.mark.parametrize("open_store", ["cassandra"], indirect=True)
def test_a_prediction_that_is_being_deleted_does_not_flip(store: CassandraStore) -> None:
    going, kept = flips_of(store, 2)
    # The first step of a deletion, which then looks for flips before there are any, and removes the prediction last.
    store._connection.execute("put_deletion", (deletion_key(going.prediction),))
    item = comparison()
    store.put_comparison(item, [going, kept])
    assert store.flips(item.id, 10) == [kept]


def test_comparisons_expire(open_store: Callable[..., Store]) -> None:
    store = open_store(retention=2)
    flips, item = flips_of(store, 1), comparison()
    store.put_comparison(item, flips)
    assert store.flips(item.id, 10) == flips
    until(lambda: not store.comparisons(BASELINE, None, 10) and not store.flips(item.id, 10), 10)


def test_flips_expire_with_their_predictions(open_store: Callable[..., Store]) -> None:
    store = open_store(retention=3)
    early = flips_of(store, 1)
    time.sleep(2)  # the predictions, the flips, and then the comparison expire one after the other
    late, item = flips_of(store, 2), comparison()
    store.put_comparison(item, [*early, *late])
    until(lambda: not store.get(early[0].prediction), 10)
    until(lambda: {flip.prediction for flip in store.flips(item.id, 10)} <= {flip.prediction for flip in late}, 1.5)


def test_flips_of_another_model_are_left_out(store: Store) -> None:
    """A deletion looks for the flips of a prediction in the comparisons of its model."""
    flips, item = flips_of(store, 2), comparison(baseline="model/1.2.4")
    store.put_comparison(item, flips)
    assert store.flips(item.id, 10) == []


def test_drift_references_are_listed_newest_first(store: Store) -> None:
    first, second, other = make_id(), make_id(), make_id()
    store.put_drift_reference("model", "1.2.3", first, "ana")
    store.put_drift_reference("model", "1.2.3", second, "")
    store.put_drift_reference("model", "2.0.0", other, "ana")
    assert store.drift_references("model", "1.2.3") == [(second, ""), (first, "ana")]
    assert store.drift_references("model", "3.0.0") == []
