"""What people say an image shows, over HTTP, with SQLite and with Cassandra."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid1

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lookbook.http.app import create_app
from lookbook.judgment import Judgment
from lookbook.model.inference import Classifier
from lookbook.prediction import id_maker
from lookbook.settings import Settings
from lookbook.store import Store
from werkzeug.test import TestResponse

from tests.support.places import BAG, MLP
from tests.support.predictions import error_of, location, post_image

# What does not depend on the store.
ON_SQLITE = pytest.mark.parametrize("open_store", ["sqlite"], indirect=True)


@pytest.fixture
def on_both(store: Store, classifier: Classifier) -> FlaskClient:
    return create_app(Settings(), classifier, store).test_client()


def judge(client: FlaskClient, path: str, label: str | None, annotator: str | None = None, **more: Any) -> TestResponse:
    said = {"verdict": "unclear"} if label is None else {"label": label}
    given = said if annotator is None else {**said, "annotator": annotator}
    return client.post(f"{path}/ground-truths", json={**given, **more})


def truth(client: FlaskClient, path: str) -> dict[str, Any] | None:
    """The prediction's ground truth without its times, which all endpoints agree on."""
    shown = client.get(path).get_json()["ground_truth"]
    assert client.get(f"{path}/ground-truths").get_json()["ground_truth"] == shown
    [listed] = [item for item in client.get("/v1/predictions").get_json()["items"] if path.endswith(item["id"])]
    assert listed["ground_truth"] == shown
    return shown and {key: value for key, value in shown.items() if key != "judged_at"}


def test_the_majority_of_the_annotators_decides(on_both: FlaskClient) -> None:
    path = location(post_image(on_both))
    assert truth(on_both, path) is None
    response = judge(on_both, path, "Dress", "ana")
    assert response.status_code == 201
    assert {**response.get_json(), "id": 0, "created_at": 0} == {
        "id": 0,
        "created_at": 0,
        "annotator": "ana",
        "label": "Dress",
        "withdrawn_at": None,
    }
    assert truth(on_both, path) == {"label": "Dress", "judgments": 1}
    judge(on_both, path, "Bag", "ben")
    assert truth(on_both, path) == {"verdict": "unclear", "judgments": 2}
    judge(on_both, path, "Bag", "ana")
    assert truth(on_both, path) == {"label": "Bag", "judgments": 2}
    judge(on_both, path, None, "ana")
    judge(on_both, path, None)
    assert truth(on_both, path) == {"verdict": "unclear", "judgments": 3}
    items = on_both.get(f"{path}/ground-truths").get_json()["items"]
    said = [(item["annotator"], item.get("label"), item.get("verdict")) for item in items]
    assert said == [
        ("", None, "unclear"),
        ("ana", None, "unclear"),
        ("ana", "Bag", None),
        ("ben", "Bag", None),
        ("ana", "Dress", None),
    ]


@ON_SQLITE
def test_a_repeated_judgment_is_stored_once(on_both: FlaskClient) -> None:
    path = location(post_image(on_both))
    first, again = judge(on_both, path, "Dress", "ana"), judge(on_both, path, "Dress", "ana")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.get_json() == again.get_json()
    assert judge(on_both, path, "Dress", "ben").status_code == 201
    assert judge(on_both, path, "Coat", "ana").status_code == judge(on_both, path, "Dress", "ana").status_code == 201
    assert len(on_both.get(f"{path}/ground-truths").get_json()["items"]) == 4


def test_a_withdrawn_judgment_does_not_count(on_both: FlaskClient) -> None:
    path = location(post_image(on_both))
    first, second = (judge(on_both, path, label, "ana").get_json()["id"] for label in ("Dress", "Coat"))
    for _ in range(2):
        assert on_both.delete(f"{path}/ground-truths/{second}").status_code == 204
        assert truth(on_both, path) == {"label": "Dress", "judgments": 1}
    items = on_both.get(f"{path}/ground-truths").get_json()["items"]
    assert [(item["label"], item["withdrawn_at"] is None) for item in items] == [("Coat", False), ("Dress", True)]
    assert judge(on_both, path, "Dress", "ana").status_code == 200
    assert judge(on_both, path, "Coat", "ana").status_code == 201
    assert on_both.delete(f"{path}/ground-truths/{first}").status_code == 204
    assert truth(on_both, path) == {"label": "Coat", "judgments": 1}
    assert error_of(on_both.delete(f"{path}/ground-truths/{uuid1()}"))[:2] == (404, "not_found")
    assert error_of(on_both.delete(f"{path}/ground-truths/x"))[:2] == (404, "not_found")


@ON_SQLITE
def test_a_judgment_after_one_from_a_clock_that_is_ahead_is_the_newest(on_both: FlaskClient, store: Store) -> None:
    path = location(post_image(on_both))
    prediction = store.get(UUID(path.rpartition("/")[2]))
    assert prediction
    ahead = int((datetime.now(UTC) + timedelta(minutes=5)).timestamp() * 1e9)
    store.judge(prediction, Judgment(id_maker(clock=lambda: ahead)(), prediction.id, "ana", "Coat"))
    judge(on_both, path, "Dress", "ana")
    assert truth(on_both, path) == {"label": "Dress", "judgments": 1}


@ON_SQLITE
def test_a_deleted_prediction_has_no_judgments(on_both: FlaskClient) -> None:
    path = location(post_image(on_both))
    judge(on_both, path, "Dress")
    on_both.delete(path)
    assert judge(on_both, path, "Dress").status_code == on_both.get(f"{path}/ground-truths").status_code == 404
    assert on_both.delete(f"{path}/ground-truths/{uuid1()}").status_code == 404


def test_predictions_are_filtered_by_ground_truth(on_both: FlaskClient) -> None:
    ids = [post_image(on_both).get_json()["id"] for _ in range(4)]
    for id, label in zip(ids, ("Bag", "Coat", None), strict=False):
        judge(on_both, f"/v1/predictions/{id}", label)

    def filtered(wanted: str) -> list[str]:
        found = on_both.get(f"/v1/predictions?ground_truth={wanted}").get_json()["items"]
        return [item["id"] for item in found]

    assert filtered("right") == [ids[0]]
    assert filtered("wrong") == [ids[1]]
    assert filtered("any") == [ids[2], ids[1], ids[0]]
    assert filtered("none") == [ids[3]]
    assert error_of(on_both.get("/v1/predictions?ground_truth=yes"))[:2] == (400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, 'send either a label or "verdict": "unclear"'),
        ({"label": "Bag", "verdict": "unclear"}, "send either"),
        ({"verdict": "right"}, "verdict must be"),
        ({"verdict": None}, "verdict must be"),
        ({"label": None}, "label must be a string of 1 to 100 characters"),
        ({"label": 1}, "label must be a string"),
        ({"label": ""}, "label must be a string"),
        ({"label": " "}, "label must not be blank"),
        ({"label": "x" * 101}, "label must be a string of 1 to 100"),
        ({"label": "a\nb"}, "label must not have control characters"),
        ({"label": "a\0"}, "label must not have control characters"),
        ({"label": "\ud800"}, "label must not have control characters"),
        ({"label": "Bag", "annotator": 1}, "annotator must be a string"),
        ({"label": "Bag", "annotator": None}, "annotator must be a string"),
        ({"label": "Bag", "annotator": "x" * 101}, "annotator must be a string of 0 to 100"),
        ({"label": "Bag", "annotator": "a\tb"}, "annotator must not have control"),
        ({"label": "Bag", "score": 1}, "unknown member 'score'; the members are annotator, label, verdict"),
        ([], "the body must be a JSON object"),
        ("Bag", "the body must be a JSON object"),
    ],
)
def test_a_bad_judgment_is_refused(client: FlaskClient, body: Any, message: str) -> None:
    path = location(post_image(client))
    status, code, text = error_of(client.post(f"{path}/ground-truths", json=body))
    assert (status, code) == (400, "invalid_request")
    assert message in text
    assert client.get(f"{path}/ground-truths").get_json()["items"] == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"label": NaN}', b"[" * 10_000, b'{"label": "x"}' + b" " * 20_000]
)
def test_a_body_that_is_not_json_is_refused(client: FlaskClient, body: bytes) -> None:
    url = f"{location(post_image(client))}/ground-truths"
    assert error_of(client.post(url, data=body, content_type="application/json"))[:2] == (400, "invalid_request")
    assert error_of(client.post(url, data=body, content_type="text/plain"))[:2] == (415, "unsupported_media_type")


def test_the_annotator_is_the_name_of_the_token(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("a read,predict,review Ana\nb review Ben\nadmin\n")
    client = make_app(tokens_file=str(tmp_path / "tokens")).test_client()

    def send(method: str, path: str, token: str, **options: Any) -> TestResponse:
        return client.open(path, method=method, headers={"Authorization": f"Bearer {token}"}, **options)

    image = {"data": BAG.read_bytes(), "content_type": "image/png"}
    path = f"{location(send('POST', '/v1/predictions', 'a', **image))}/ground-truths"
    judgments = [
        send("POST", path, "a", json={"label": "Bag"}),
        send("POST", path, "b", json={"label": "Coat", "annotator": "Ben"}),
        send("POST", path, "admin", json={"label": "Hat", "annotator": "Cleo"}),
    ]
    assert [(one.status_code, one.get_json()["annotator"]) for one in judgments] == [
        (201, "Ana"),
        (201, "Ben"),
        (201, "Cleo"),
    ]
    status, code, message = error_of(send("POST", path, "b", json={"label": "Bag", "annotator": "Ana"}))
    assert (status, code) == (403, "forbidden")
    assert "annotator must be 'Ben', the name of this token" in message
    of_ana, of_ben, _ = (one.get_json()["id"] for one in judgments)
    assert error_of(send("DELETE", f"{path}/{of_ana}", "b"))[:2] == (403, "forbidden")
    assert send("DELETE", f"{path}/{of_ben}", "b").status_code == 204
    assert send("DELETE", f"{path}/{of_ana}", "admin").status_code == 204
    assert [send("GET", path, token).get_json()["annotator"] for token in ("a", "admin")] == ["Ana", None]
    assert send("GET", path, "b").status_code == 403


def test_a_hundred_judgments_are_enough(client: FlaskClient) -> None:
    path = location(post_image(client))
    for number in range(100):
        assert judge(client, path, "Bag", f"annotator {number}").status_code == 201
    assert error_of(judge(client, path, "Bag", "one more"))[:2] == (409, "too_many_judgments")


def test_a_prediction_made_again_has_its_ground_truth(client: FlaskClient) -> None:
    path = location(post_image(client, (MLP / "golden/fashion-5.png").read_bytes(), key="one"))
    judge(client, path, "Sandal")
    again = post_image(client, (MLP / "golden/fashion-5.png").read_bytes(), key="one")
    assert again.get_json() == client.get(path).get_json()
    assert again.get_json()["ground_truth"]["label"] == "Sandal"
