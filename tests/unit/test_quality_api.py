"""Reviews, evaluations, samples, drift, and comparisons over HTTP, with each real store."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid1

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from lookbook.http.app import create_app
from lookbook.model.inference import Classifier
from lookbook.prediction import Prediction, permanent_random, sort_key
from lookbook.settings import Settings
from lookbook.store import Entry, Input, Store
from lookbook.store.cassandra import CassandraStore
from lookbook.store.cassandra.statements import primary_key
from lookbook.store.sqlite import SqliteStore

from tests.support.places import BAG
from tests.support.predictions import error_of
from tests.support.running import Service, until
from tests.support.truths import judge, sampled

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
DAY = timedelta(days=1)
MODEL = "model_version=model/1.2.3"

# What does not depend on the store.
ON_SQLITE = pytest.mark.parametrize("open_store", ["sqlite"], indirect=True)


@pytest.fixture
def client(store: Store, classifier: Classifier) -> FlaskClient:
    return create_app(Settings(), classifier, store).test_client()


def fill(store: Store, days_ago: int, count: int, shards: int = 1, rate: float = 0.5) -> list[Entry]:
    """Sampled predictions of one day, in the order of review: the smallest u first, because all scores are equal."""
    entries = [
        replace(entry, input=Input("original", BAG.read_bytes())) for entry in _entries(days_ago, count, shards, rate)
    ]
    store.put_all(entries)
    return entries


def _entries(days_ago: int, count: int, shards: int, rate: float) -> list[Entry]:
    return sampled(NOON - days_ago * DAY, count, shards, rate)


def ids(items: list[Any]) -> list[str]:
    return [item["id"] if isinstance(item, dict) else str(item.prediction.id) for item in items]


def review(client: FlaskClient, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/reviews?{MODEL}&{query}").get_json()
    return found


@pytest.mark.cassandra
@pytest.mark.parametrize("open_store", ["cassandra"], indirect=True)
def test_what_an_older_pod_leaves_of_a_deleted_prediction_holds_nobody_up(
    client: FlaskClient, store: CassandraStore
) -> None:
    gone, *others = fill(store, 1, 3)
    # As 0.2.0 deletes.
    store._connection.execute("delete", (time.time_ns() // 1000, *primary_key(gone.prediction.id)))
    for entry in others:
        judge(store, entry.prediction, "Bag")
    assert review(client)["items"] == []
    assert store.input(gone.prediction.id) is None
    found = review(client)
    assert (found["remaining"], found["waiting"], found["blocked_by"]) == (0, 0, None)


def test_predictions_are_reviewed_in_their_order(client: FlaskClient, store: Store) -> None:
    entries = fill(store, 0, 8)
    found = review(client, "annotator=ana")
    assert ids(found["items"]) == ids(entries[:5])
    assert (found["remaining"], found["waiting"], found["blocked_by"]) == (8, 0, None)
    first = found["items"][0]
    assert (first["label"], first["image"], first["model"]) == ("Bag", True, {"name": "model", "version": "1.2.3"})
    claim = datetime.fromisoformat(first["claimed_until"]) - datetime.now(UTC)
    assert timedelta(seconds=110) < claim <= timedelta(seconds=120)
    for entry in (entries[0], entries[2]):
        client.post(f"/v1/predictions/{entry.prediction.id}/ground-truths", json={"verdict": "unclear"})
    found = review(client, "annotator=ana&limit=2")
    assert ids(found["items"]) == [ids(entries)[1], ids(entries)[3]]
    assert (found["remaining"], found["waiting"], found["blocked_by"]) == (6, 1, ids(entries)[1])


def test_two_reviewers_get_different_predictions(client: FlaskClient, store: Store) -> None:
    entries = fill(store, 0, 5)
    assert ids(review(client, "annotator=ana&limit=2")["items"]) == ids(entries[:2])
    assert ids(review(client, "annotator=ben&limit=2")["items"]) == ids(entries[2:4])
    assert ids(review(client, "annotator=ana&limit=2")["items"]) == ids(entries[:2])
    # Without a name, each request claims for itself.
    assert ids(review(client)["items"]) == ids(entries[4:])
    assert review(client)["items"] == []


@ON_SQLITE
def test_a_token_claims_for_nobody_else(store: Store, classifier: Classifier, tmp_path: Path) -> None:
    entries = fill(store, 0, 4)
    (tmp_path / "tokens").write_text("one review ana\ntwo review ben\n")
    client = create_app(Settings(tokens_file=str(tmp_path / "tokens")), classifier, store).test_client()

    def claimed(token: str, annotator: str) -> list[str]:
        query = f"/v1/reviews?{MODEL}&limit=2&annotator={annotator}"
        return ids(client.get(query, headers={"Authorization": f"Bearer {token}"}).get_json()["items"])

    assert claimed("one", "ana") == claimed("one", "ana") == ids(entries[:2])
    assert claimed("two", "ana") == ids(entries[2:])


@ON_SQLITE
def test_the_least_certain_can_come_first(client: FlaskClient, store: Store) -> None:
    entries = _entries(0, 4, 1, 0.5)
    scores = (0.9, 0.5, 0.7, 0.6)
    made = [
        replace(entry, prediction=replace(entry.prediction, top=(("Bag", score), ("Hat", 0.05))))
        for entry, score in zip(entries, scores, strict=True)
    ]
    store.put_all(made)
    assert ids(review(client, "order=score")["items"]) == [ids(entries)[place] for place in (1, 3, 2, 0)]


def test_an_evaluation_says_what_the_judgments_tell(client: FlaskClient, store: Store) -> None:
    entries = [*fill(store, 0, 10), *fill(store, 3, 10)]
    url = f"/v1/evaluations?{MODEL}"
    found = client.get(url).get_json()
    assert (found["judged"], found["accuracy"]["estimate"], found["estimated_accuracy"]) == (0, None, 0.75)
    assert found["population_size"] == pytest.approx(40)
    assert found["models"] == [{"name": "model", "version": "1.2.3"}]
    assert found["until"] == NOON.date().isoformat()
    assert found["since"] == (NOON - 27 * DAY).date().isoformat()
    for number, entry in enumerate(entries):
        judge(store, entry.prediction, "Coat" if number % 4 == 0 else "Bag")
    found = client.get(url).get_json()
    assert (found["judged"], found["accuracy"]["n"], found["days_covered"]) == (20, 20, 2)
    assert found["accuracy"]["estimate"] == pytest.approx(0.75)
    low, high = found["accuracy"]["confidence_interval"]
    assert 0.45 < low < 0.75 < high < 0.95
    matrix = found["confusion_matrix"]
    assert (matrix["labels"], matrix["counts"]) == (["Bag", "Coat"], [[15, 0], [5, 0]])
    day = (NOON - 3 * DAY).date()
    assert client.get(f"{url}&since={day}&until={day}").get_json()["judged"] == 10
    assert client.get(f"{url}&as_of=2026-01-01T00:00:00Z").get_json()["judged"] == 0
    assert client.get("/v1/evaluations").get_json()["sampled"] == 0


def test_versions_are_pooled_on_request(client: FlaskClient, store: Store) -> None:
    first, second = fill(store, 0, 6), _entries(0, 8, 1, 1.0)
    second = [replace(entry, prediction=replace(entry.prediction, model_version="2.0.0")) for entry in second]
    store.put_all(second)
    for number, entry in enumerate([*first, *second]):
        judge(store, entry.prediction, "Coat" if number < 6 else "Bag")
    pooled = client.get(f"/v1/evaluations?{MODEL}&model_version=model/2.0.0&{MODEL}").get_json()
    versions = [{"name": "model", "version": version} for version in ("1.2.3", "2.0.0")]
    assert (pooled["model"], pooled["pooled"], pooled["models"]) == (None, versions, versions)
    assert (pooled["judged"], pooled["days"], pooled["population_size"]) == (14, 1, pytest.approx(6 / 0.5 + 8))
    assert pooled["accuracy"]["estimate"] == pytest.approx(8 / 20, abs=0.02)
    alone = client.get(f"/v1/evaluations?{MODEL}").get_json()
    assert (alone["model"], alone["pooled"], alone["judged"]) == (versions[0], [], 6)


def test_a_deleted_prediction_is_not_evaluated(client: FlaskClient, store: Store) -> None:
    entries = fill(store, 3, 6)
    for entry in entries:
        judge(store, entry.prediction, "Bag")
    url = f"/v1/evaluations?{MODEL}"
    assert [client.get(url).get_json()[name] for name in ("sampled", "judged")] == [6, 6]
    assert client.delete(f"/v1/predictions/{entries[0].prediction.id}").status_code == 204
    assert [client.get(url).get_json()[name] for name in ("sampled", "judged")] == [5, 5]


@ON_SQLITE
def test_days_of_which_predictions_have_expired_are_left_out(store: Store, classifier: Classifier) -> None:
    fill(store, 0, 2)
    fill(store, 5, 3)
    client = create_app(Settings(retention=3 * 86_400), classifier, store).test_client()
    found = client.get(f"/v1/evaluations?{MODEL}").get_json()
    assert found["sampled"] == 2
    assert found["since"] >= (NOON - 3 * DAY).date().isoformat()


def test_samples_have_their_inputs(client: FlaskClient, store: Store) -> None:
    entries = [*fill(store, 0, 3), *fill(store, 2, 4)]
    judge(store, entries[1].prediction, "Coat")
    url = f"/v1/samples?{MODEL}&limit=3"
    first = client.get(url).get_json()
    second = client.get(f"{url}&cursor={first['next']}").get_json()
    third = client.get(f"{url}&cursor={second['next']}").get_json()
    items = first["items"] + second["items"] + third["items"]
    assert ids(items) == ids(entries)
    assert third["next"] is None
    assert {base64.b64decode(item["input"]["content"]) for item in items} == {BAG.read_bytes()}
    assert [item["u"] for item in items] == [permanent_random(UUID(item["id"])) for item in items]
    assert {(item["sampling_rate"], item["inclusion_probability"], item["input"]["kind"]) for item in items} == {
        (0.5, 0.5, "original")
    }
    assert [item["ground_truth"] and item["ground_truth"]["label"] for item in items[:3]] == [None, "Coat", None]


def test_samples_can_be_listed_without_their_inputs(client: FlaskClient, store: Store) -> None:
    fill(store, 0, 2)
    items = client.get(f"/v1/samples?{MODEL}&inputs=false").get_json()["items"]
    assert [item["input"] for item in items] == [None, None]
    refused = client.get(f"/v1/samples?{MODEL}&inputs=no")
    assert error_of(refused) == (400, "invalid_request", "inputs must be true or false")


def pages(client: FlaskClient, query: str) -> Iterator[list[Any]]:
    cursor = ""
    while cursor is not None:
        page = client.get(f"/v1/samples?{MODEL}&{query}{cursor and '&cursor='}{cursor}").get_json()
        yield page["items"]
        cursor = page["next"]


def test_all_predictions_are_listed_with_their_inputs(client: FlaskClient, store: Store) -> None:
    entries = [*fill(store, 0, 3), *(replace(entry, sampling_rate=None) for entry in _entries(2, 4, 1, 0.5))]
    other = replace(entries[4], prediction=replace(entries[4].prediction, model_version="2.0.0"))
    too_old = _entries(30, 1, 1, 0.5)
    store.put_all([*entries[3:4], other, *entries[5:], *too_old])
    entries.remove(entries[4])
    judge(store, entries[5].prediction, "Coat")
    items = [item for page in pages(client, "all=true&limit=2") for item in page]
    newest_first = sorted(entries, key=lambda entry: sort_key(entry.prediction.id), reverse=True)
    assert ids(items) == ids(newest_first)
    inputs = [entry.input.content for entry in newest_first if entry.input]
    assert [base64.b64decode(item["input"]["content"]) for item in items] == inputs
    assert {(item["sampling_rate"], item["inclusion_probability"]) for item in items} == {(1, 1)}
    assert [item["id"] for item in items if item["ground_truth"]] == ids(entries[5:6])


@pytest.mark.parametrize("every", ["true", "false"])
@pytest.mark.parametrize(("since", "until"), [("0001-01-01", "0001-01-31"), ("9999-12-01", "9999-12-31")])
def test_any_day_can_be_asked_for(client: FlaskClient, every: str, since: str, until: str) -> None:
    response = client.get(f"/v1/samples?{MODEL}&all={every}&since={since}&until={until}")
    assert (response.status_code, response.get_json()) == (200, {"items": [], "next": None})


@ON_SQLITE
@pytest.mark.parametrize("every", ["true", "false"])
def test_a_page_of_samples_ends_with_a_large_input(client: FlaskClient, store: Store, every: str) -> None:
    large = Input("original", bytes(5 * 2**20))
    store.put_all([replace(entry, input=large) for entry in _entries(0, 3, 1, 1.0)])
    assert [len(page) for page in pages(client, f"all={every}")] == [2, 1]


@ON_SQLITE
def test_the_image_of_a_prediction_is_returned(client: FlaskClient, store: Store) -> None:
    [entry] = fill(store, 0, 1)
    response = client.get(f"/v1/predictions/{entry.prediction.id}/image")
    assert (response.data, response.content_type) == (BAG.read_bytes(), "image/png")
    [numbers] = [replace(entry, input=Input("tensor", b"\x93NUMPY")) for entry in _entries(1, 1, 1, 1.0)]
    store.put(numbers)
    for id in (numbers.prediction.id, uuid1(), "x"):
        assert error_of(client.get(f"/v1/predictions/{id}/image"))[:2] == (404, "not_found")


@ON_SQLITE
def test_drift_is_learning_until_its_reference_is_complete(client: FlaskClient, store: Store) -> None:
    for days_ago in range(2, 5):
        fill(store, days_ago, 100)
    found = client.get(f"/v1/drift?{MODEL}").get_json()
    reference = found["reference"]
    assert (found["status"], reference["chunks"], reference["started_at"]) == ("learning", 3, None)
    assert reference["since"] == (NOON - 4 * DAY).date().isoformat()
    made = client.post("/v1/drift/reference", json={"model_version": "model/1.2.3", "annotator": "ana"})
    assert (made.status_code, made.get_json()["annotator"]) == (201, "ana")
    reference = client.get(f"/v1/drift?{MODEL}").get_json()["reference"]
    assert (reference["chunks"], reference["annotator"]) == (0, "ana")
    assert reference["started_at"] == made.get_json()["started_at"]
    assert client.post("/v1/drift/reference", json={}).get_json()["model"]["name"] == "fashion-mnist-mlp"


def comparison(*flips: Prediction, **changed: Any) -> dict[str, Any]:
    made = [
        {
            "prediction": str(flip.id),
            "baseline_label": "Bag",
            "candidate_label": "Coat",
            "candidate_score": 0.5,
        }
        for flip in flips
    ]
    report = {"agreement": {"estimate": 0.9}}
    return {"baseline": "model/1.2.3", "candidate": "model/2.0.0", "report": report, "flips": made, **changed}


def test_a_comparison_queues_its_flips_for_review(client: FlaskClient, store: Store) -> None:
    entries = fill(store, 0, 6)
    flips = [entries[place].prediction for place in (4, 1, 3)]
    made = client.post("/v1/comparisons", json=comparison(*flips))
    assert made.status_code == 201
    assert client.get("/v1/comparisons?baseline=model/1.2.3").get_json() == {"items": [made.get_json()]}
    assert client.get("/v1/comparisons").get_json() == {"items": []}
    assert client.get("/v1/comparisons?baseline=model/1.2.3&candidate=model/3.0.0").get_json() == {"items": []}
    query = f"annotator=ana&compare={made.get_json()['id']}"
    found = review(client, query)
    assert ids(found["items"]) == [ids(entries)[place] for place in (1, 3, 4)]
    assert found["items"][0]["candidate"] == {"label": "Coat", "score": 0.5}
    judge(store, entries[1].prediction, "Coat")
    found = review(client, query)
    assert (ids(found["items"]), found["remaining"]) == ([ids(entries)[place] for place in (3, 4)], 2)
    assert error_of(client.get(f"/v1/reviews?compare={uuid1()}"))[:2] == (404, "not_found")


@ON_SQLITE
def test_judged_flips_say_which_model_is_better(client: FlaskClient, store: Store) -> None:
    entries = fill(store, 3, 20)
    report = {"agreement": {"estimate": 0.6, "effective_sample_size": 20.0}}
    flips = [entry.prediction for entry in entries[::2]][:8]
    client.post("/v1/comparisons", json=comparison(*flips, report=report))

    def judged() -> dict[str, Any]:
        [found] = client.get("/v1/comparisons?baseline=model/1.2.3").get_json()["items"]
        shown: dict[str, Any] = found["judged_flips"]
        return shown

    assert (judged()["flips_to_judge"], judged()["judged"], judged()["accuracy_difference"]) == (8, 0, None)
    for flip in flips[:6]:
        judge(store, flip, "Bag")
    found = judged()
    assert (found["judged"], found["worse"]) == (6, True)
    assert found["mcnemar"] == {"baseline_only": 6, "candidate_only": 0, "p_value": 0.03125}
    assert found["accuracy_difference"]["estimate"] == pytest.approx(-0.4)


def test_flips_that_are_not_sampled_are_reviewed_too(client: FlaskClient, store: Store) -> None:
    entries = [replace(entry, sampling_rate=None) for entry in _entries(0, 3, 1, 1.0)]
    store.put_all(entries)
    report = {"agreement": {"estimate": 0.6, "effective_sample_size": 20.0}}
    flips = [entry.prediction for entry in entries]
    made = client.post("/v1/comparisons", json=comparison(*flips, report=report)).get_json()
    judge(store, entries[0].prediction, "Bag")
    found = review(client, f"compare={made['id']}")
    assert (ids(found["items"]), found["remaining"]) == (ids(entries[1:]), 2)
    [compared] = client.get("/v1/comparisons?baseline=model/1.2.3").get_json()["items"]
    assert compared["judged_flips"]["judged"] == 1


@ON_SQLITE
@pytest.mark.parametrize("every", [True, False])
def test_each_flip_counts_once_if_all_inputs_were_compared(client: FlaskClient, store: Store, every: bool) -> None:
    often, seldom = _entries(0, 10, 1, 1.0), _entries(1, 10, 1, 0.1)
    store.put_all(often + seldom)
    flips = [entry.prediction for entry in often[:5] + seldom[:5]]
    report = {"agreement": {"estimate": 0.5, "effective_sample_size": 20.0}, "all_inputs": every}
    client.post("/v1/comparisons", json=comparison(*flips, report=report))
    for number, flip in enumerate(flips):
        judge(store, flip, "Bag" if number < 5 else "Coat")
    [found] = client.get("/v1/comparisons?baseline=model/1.2.3").get_json()["items"]
    estimate = found["judged_flips"]["accuracy_difference"]["estimate"]
    assert estimate == pytest.approx(0 if every else 0.5 * (50 - 5) / 55)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"baseline": "2.0.0"}, "baseline must be the <name>/<version>"),
        ({"candidate": None}, "candidate must be a string"),
        ({"report": []}, "report must be an object of at most 65536 bytes"),
        ({"report": {"a": "x" * 65536}}, "report must be an object"),
        ({"flips": {}}, "flips must be an array of at most 2000"),
        ({"flips": [{}] * 2001}, "flips must be an array of at most 2000"),
        ({"flips": [{}]}, "each flip must be an object with prediction,"),
        ({"flips": [{**comparison(*[])["report"], "x": 1}]}, "each flip must be an object"),
        ({"other": 1}, "unknown member 'other'"),
    ],
)
def test_a_bad_comparison_is_refused(app: Flask, changed: dict[str, Any], message: str) -> None:
    status, code, text = error_of(app.test_client().post("/v1/comparisons", json=comparison(**changed)))
    assert (status, code) == (400, "invalid_request")
    assert message in text


@pytest.mark.parametrize("value", ["1e999", r'"\ud800"'])
def test_a_report_that_no_client_could_read_is_refused(app: Flask, value: str) -> None:
    body = json.dumps(comparison(report={"a": "value"})).replace('"value"', value)
    status, _, text = error_of(app.test_client().post("/v1/comparisons", data=body, content_type="application/json"))
    assert (status, text) == (400, "report must have only finite numbers and valid Unicode")


@pytest.mark.parametrize(
    ("name", "value"),
    [("prediction", "x"), ("baseline_label", ""), ("candidate_score", 1.5), ("candidate_score", True)],
)
def test_a_bad_flip_is_refused(app: Flask, name: str, value: object) -> None:
    [entry] = _entries(0, 1, 1, 1.0)
    body = comparison(entry.prediction)
    body["flips"][0][name] = value
    status, code, text = error_of(app.test_client().post("/v1/comparisons", json=body))
    assert (status, code) == (400, "invalid_request")
    assert name in text


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("evaluations?since=yesterday", "since must be a day such as 2026-01-31"),
        ("evaluations?since=2026-02-30", "since must be a day"),
        ("evaluations?since=2026-02-01&until=2026-01-01", "before until, and not after it"),
        ("evaluations?since=9999-01-01", "since is in the future"),
        ("evaluations?" + "model_version=1.0.0&" * 11, "model_version can be given at most 10 times"),
        ("evaluations?since=2026-01-01&until=2026-06-01", "at most 91 days before until"),
        ("evaluations?as_of=2026-01-01", "as_of must be an RFC 3339 time"),
        ("evaluations?model_version=", "model_version must be a string of 1 to 100 characters"),
        ("evaluations?model_version=model/", "model_version must be a version such as"),
        ("evaluations?model_version=a%0Ab", "model_version must not have control characters"),
        ("evaluations?limit=5", "unknown query parameter 'limit'"),
        ("samples?limit=101", "limit must be a whole number from 1 to 100"),
        ("samples?cursor=7", "cursor must come from"),
        ("reviews?order=random", "order must be priority or score"),
        ("reviews?limit=21", "limit must be a whole number from 1 to 20"),
        ("reviews?annotator=", "annotator must be a string of 1 to 100"),
        ("drift?since=2026-01-01", "unknown query parameter 'since'"),
        ("comparisons?baseline=", "baseline must be a string"),
        ("comparisons?limit=11", "limit must be a whole number from 1 to 10"),
    ],
)
def test_a_bad_query_is_refused(app: Flask, query: str, message: str) -> None:
    status, code, text = error_of(app.test_client().get(f"/v1/{query}"))
    assert (status, code) == (400, "invalid_request")
    assert message in text


@pytest.fixture
def two_stores(cassandra: Settings, tmp_path: Path) -> Iterator[list[Store]]:
    stores: list[Store] = [
        SqliteStore(str(tmp_path / "same.sqlite"), lambda _: None),
        CassandraStore(replace(cassandra, shards=4), lambda _: None),
    ]
    until(lambda: all(store.status().reached for store in stores))
    yield stores
    for store in stores:
        store.close()


@pytest.mark.cassandra
def test_both_stores_give_the_same_rows_and_numbers_for_the_same_ids(
    two_stores: list[Store], classifier: Classifier
) -> None:
    """Two workers with different rates, two versions during a rollout, a day with more than fits into a frame."""
    worker, other = _entries(2, 1_100, 4, 0.8), _entries(3, 60, 4, 1.0)
    rollout = [
        replace(entry, prediction=replace(entry.prediction, model_version="2.0.0"), sampling_rate=0.25)
        for entry in sampled(NOON - 2 * DAY + timedelta(hours=3), 40, 4)
    ]
    slow = sampled(NOON - 2 * DAY + timedelta(hours=5), 60, 4, rate=1.0)
    answers = []
    for store in two_stores:
        store.put_all([*worker, *other, *rollout, *slow])
        _judge_in_order(store, worker + other + slow)
        client = create_app(Settings(), classifier, store).test_client()
        answers.append([client.get(f"/v1/{path}").get_json() for path in _PATHS])
    first, second = (json.dumps(answer, indent=1) for answer in answers)
    assert _without_claims(first) == _without_claims(second)
    assert answers[0][0]["judged"] > 50
    assert answers[0][1]["sampled"] == 40


_PATHS = (
    f"evaluations?{MODEL}",
    "evaluations?model_version=model/2.0.0",
    f"reviews?{MODEL}&limit=20",
    f"reviews?{MODEL}&limit=20&order=score",
    f"samples?{MODEL}&limit=100",
    f"drift?{MODEL}",
    "predictions?ground_truth=wrong&limit=1000",
    "predictions?ground_truth=any&limit=1000",
)


def _judge_in_order(store: Store, entries: list[Entry]) -> None:
    made = {entry.prediction.id: entry.prediction for entry in entries}
    for number, id in enumerate(sorted(made, key=permanent_random)[:100]):
        judge(store, made[id], ("Bag", "Bag", "Coat", None)[number % 4])


def _without_claims(text: str) -> list[str]:
    """Without the moments of claims and judgments, which differ."""
    return [line for line in text.splitlines() if '"claimed_until"' not in line and '"judged_at"' not in line]


def test_all_workers_of_a_server_give_the_same_numbers(serve: Callable[..., Service]) -> None:
    service = serve(workers=2).ready()
    posted = {service.send(BAG.read_bytes()).json()["id"] for _ in range(12)}

    def get(path: str) -> Any:
        # A connection of its own, which any worker may accept.
        return requests.get(f"{service.url}/v1/{path}", timeout=10).json()

    reviews = [get(f"reviews?limit=4&annotator={name}") for name in ("ana", "ben", "cleo")]
    served = [item["id"] for review in reviews for item in review["items"]]
    assert sorted(served) == sorted(posted)
    assert {item["image"] for review in reviews for item in review["items"]} == {True}
    for number, id in enumerate(served):
        url = f"{service.url}/v1/predictions/{id}/ground-truths"
        assert requests.post(url, json={"label": "Coat" if number % 4 == 0 else "Bag"}, timeout=10).status_code == 201
    evaluations = [get("evaluations") for _ in range(6)]
    assert all(evaluation == evaluations[0] for evaluation in evaluations)
    assert (evaluations[0]["judged"], evaluations[0]["population_size"]) == (12, 12)
    assert evaluations[0]["accuracy"]["estimate"] == pytest.approx(0.75)
    image = requests.get(f"{service.url}/v1/predictions/{served[0]}/image", timeout=10)
    assert image.headers["Content-Type"] == "image/png"
