"""Judgments and ground truths, on both stores."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from lookbook.errors import NotFound, TooManyJudgments
from lookbook.judgment import GroundTruth
from lookbook.prediction import Prediction, created_at
from lookbook.store import MAX_JUDGMENTS, Entry, Page, Query, Store

from tests.support.predictions import fill, made_at, walk
from tests.support.running import until
from tests.support.truths import day_of, judge, sampled, today

NOON = today()


def test_judgments_are_listed_newest_first(store: Store) -> None:
    prediction, other = made_at(NOON), made_at(NOON)
    store.put_all([Entry(prediction), Entry(other)])
    first = judge(store, prediction, "Dress")
    second = judge(store, prediction, None, "bob")
    third = judge(store, prediction, None, withdraws=first.id)
    judge(store, other, "Coat")
    assert store.judgments(prediction.id) == (third, second, first)


def test_a_missing_prediction_cannot_be_judged(store: Store) -> None:
    with pytest.raises(NotFound):
        judge(store, made_at(NOON), "Dress")


def test_a_prediction_has_a_limited_number_of_judgments(store: Store) -> None:
    prediction = made_at(NOON)
    store.put(Entry(prediction))
    first, *_ = (judge(store, prediction, "Dress") for _ in range(MAX_JUDGMENTS))
    with pytest.raises(TooManyJudgments):
        judge(store, prediction, "Dress")
    withdrawal = judge(store, prediction, None, withdraws=first.id)
    assert store.judgments(prediction.id)[0] == withdrawal
    with pytest.raises(TooManyJudgments):
        judge(store, prediction, "Dress")


def test_a_page_has_the_ground_truths_of_its_predictions(store: Store) -> None:
    rows = fill(store, [NOON - timedelta(minutes=3 * i) for i in range(20)])
    judgments = [judge(store, row, "Dress") for row in rows[::5]]
    page = store.page(Query(10))
    assert page.truths == {rows[i].id: GroundTruth("Dress", 1, created_at(judgments[i // 5].id)) for i in (0, 5)}
    assert store.page(Query(10, after=page.next)).truths.keys() == {rows[10].id, rows[15].id}


@pytest.mark.parametrize("shards", [1, 3])
def test_a_page_has_the_ground_truths_of_all_shards(open_store: Callable[..., Store], shards: int) -> None:
    store = open_store(shards=shards)
    rows = fill(store, [NOON - timedelta(seconds=i) for i in range(20)], shards)
    judgments = [judge(store, row, "Dress") for row in rows]
    truths = {item.prediction: GroundTruth("Dress", 1, created_at(item.id)) for item in judgments}
    assert store.page(Query(20)) == Page(tuple(rows), None, truths)


@pytest.mark.parametrize("step", [timedelta(seconds=1), timedelta(minutes=4), timedelta(days=2)], ids=str)
def test_pages_can_be_filtered_by_ground_truth(store: Store, step: timedelta) -> None:
    rows = fill(store, [NOON - i * step for i in range(24)])
    right, wrong, unclear, none = rows[::4], rows[1::4], rows[2::4], rows[3::4]
    for row in right:
        judge(store, row, row.label)
    for row in wrong:
        judge(store, row, "Nothing")
    for row in unclear:
        judge(store, row, None)
    for row in none[::2]:
        judge(store, row, None, withdraws=judge(store, row, row.label).id)

    def found(wanted: str) -> list[Prediction]:
        return walk(store, 3, ground_truth=wanted)

    assert found("right") == right
    assert found("wrong") == wrong
    assert found("none") == none
    assert found("any") == [row for row in rows if row not in none]
    assert walk(store, 3, ground_truth="right", label="Coat") == [row for row in right if row.label == "Coat"]


@pytest.mark.parametrize("shards", [1, 3])
def test_the_ground_truths_of_any_predictions_are_found(open_store: Callable[..., Store], shards: int) -> None:
    store = open_store(shards=shards)
    rows = fill(store, [NOON - timedelta(minutes=3 * i) for i in range(40)], shards)
    made = {row.id: judge(store, row, "Dress") for row in rows[::2]}
    judge(store, rows[2], None, withdraws=made.pop(rows[2].id).id)
    store.delete(rows[4].id)
    wanted = [row.id for row in rows[30::-1]]
    truths = {id: GroundTruth("Dress", 1, created_at(one.id)) for id, one in made.items() if id in wanted}
    del truths[rows[4].id]
    assert dict(store.truths(wanted)) == truths
    assert not store.truths([])


def test_the_judgments_of_samples_are_listed_below_u(store: Store) -> None:
    entries = sampled(NOON, 6)
    outside = Entry(made_at(NOON))
    store.put_all([*entries, outside])
    judgments = [judge(store, entry.prediction, "Dress", name) for entry in entries for name in ("ana", "bob")]
    judge(store, outside.prediction, "Dress")
    (bound,) = store.samples(day_of(outside.prediction), 5)[4:]
    found = store.sampled_judgments(day_of(outside.prediction), bound.u)
    assert {judgment.id: judgment for judgment in found} == {item.id: item for item in judgments[:8]}
    assert len(store.sampled_judgments(day_of(outside.prediction), 1)) == 12


def test_a_deletion_takes_the_judgments(store: Store) -> None:
    gone, kept = sampled(NOON, 2)
    store.put_all([gone, kept])
    for entry in (gone, kept):
        judge(store, entry.prediction, "Dress")
    assert store.delete(gone.prediction.id)
    assert store.judgments(gone.prediction.id) == ()
    assert {item.prediction for item in store.sampled_judgments(day_of(gone.prediction), 1)} == {kept.prediction.id}
    assert store.page(Query(10)).truths.keys() == {kept.prediction.id}


def test_judgments_expire_with_their_prediction(open_store: Callable[..., Store]) -> None:
    store, other = open_store(retention=3), open_store(retention=0)
    (entry,) = sampled(datetime.now(UTC), 1)
    prediction, day = entry.prediction, day_of(entry.prediction)
    store.put(entry)
    judge(other, prediction, "Dress")  # by a process with another setting
    assert len(store.judgments(prediction.id)) == len(store.sampled_judgments(day, 1)) == 1
    until(lambda: not store.get(prediction.id))
    until(lambda: not store.judgments(prediction.id) and not store.sampled_judgments(day, 1), 2)


def test_a_prediction_is_claimed_by_one_reviewer(store: Store) -> None:
    prediction = made_at(NOON)
    assert store.claim_review(prediction.id, "ana", 60)
    assert store.claim_review(prediction.id, "ana", 2)
    assert not store.claim_review(prediction.id, "bob", 60)
    until(lambda: store.claim_review(prediction.id, "bob", 60), 5)
    assert not store.claim_review(prediction.id, "ana", 60)
