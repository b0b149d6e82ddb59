import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lookbook.job import Job, now
from lookbook.store import Entry
from PIL import Image

from tests.support.places import BAG, MLP
from tests.support.predictions import error_of, location, made_at, post_image, stored

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
UNKNOWN = "3a8f9d10-e71b-11f1-9300-3905d66e4a8f"


def test_an_image_is_classified_and_its_prediction_stored(client: FlaskClient) -> None:
    response = post_image(client)
    prediction = response.get_json()
    assert response.status_code == 201
    assert list(prediction) == ["id", "created_at", "file_name", "label", "score", "top", "model", "ground_truth"]
    assert ID.fullmatch(prediction["id"])
    assert location(response) == f"/v1/predictions/{prediction['id']}"
    assert (prediction["label"], prediction["file_name"]) == ("Bag", "bag.png")
    assert prediction["model"] == {"name": "fashion-mnist-mlp", "version": "2.2.0"}
    assert prediction["top"][0] == {"label": prediction["label"], "score": prediction["score"]}
    assert len(prediction["top"]) == 3
    age = datetime.now(UTC) - datetime.fromisoformat(prediction["created_at"])
    assert timedelta(0) <= age < timedelta(seconds=10)
    assert client.get(location(response)).get_json() == prediction
    assert stored(client) == [prediction]


def test_a_prediction_of_a_batch_job_names_the_job(app: Flask, client: FlaskClient) -> None:
    store = app.extensions["lookbook"].store
    job, unknown = Job("spring", now(), "digest", 2), Job("fall", now(), "digest", 1)
    store.start_job(job)
    for made_by in (job, unknown):
        store.put(Entry(replace(made_at(now()), id=made_by.id_of("bag.png"))))
    post_image(client)
    assert {item.get("job") for item in stored(client)} == {"spring", None}
    assert client.get(f"/v1/predictions/{job.id_of('bag.png')}").get_json()["job"] == "spring"


def test_an_image_can_be_the_raw_body(client: FlaskClient) -> None:
    response = client.post("/v1/predictions", data=BAG.read_bytes(), content_type="image/png")
    assert response.status_code == 201
    assert (response.get_json()["label"], response.get_json()["file_name"]) == ("Bag", "")


def test_a_thumbnail_is_stored(client: FlaskClient) -> None:
    path = location(post_image(client))
    response = client.get(f"{path}/thumbnail")
    assert response.content_type == "image/webp"
    assert max(Image.open(io.BytesIO(response.data)).size) <= 96


def test_no_thumbnail_is_stored_if_they_are_off(make_app: Callable[..., Flask]) -> None:
    client = make_app(thumbnails=False).test_client()
    path = location(post_image(client))
    assert error_of(client.get(f"{path}/thumbnail"))[:2] == (404, "not_found")


def test_a_deleted_prediction_is_gone(client: FlaskClient) -> None:
    path = location(post_image(client))
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.get(f"{path}/thumbnail").status_code == 404
    assert client.delete(path).status_code == 404
    assert stored(client) == []


@pytest.mark.parametrize(
    "id", [UNKNOWN, "7", "x" * 300, "6ba7b810-9dad-41d1-80b4-00c04fd430c8", UNKNOWN.replace("-", "")]
)
@pytest.mark.parametrize("suffix", ["", "/thumbnail"])
def test_an_unknown_id_is_404(client: FlaskClient, id: str, suffix: str) -> None:
    assert error_of(client.get(f"/v1/predictions/{id}{suffix}"))[:2] == (404, "not_found")
    assert client.delete(f"/v1/predictions/{id}").status_code == 404


def test_the_manifest_of_the_model_is_returned(client: FlaskClient) -> None:
    manifest = client.get("/v1/model").get_json()
    assert manifest["name"] == "fashion-mnist-mlp"
    assert manifest["labels"][8] == "Bag"


def test_a_repeated_key_returns_the_stored_prediction(client: FlaskClient) -> None:
    first = post_image(client, key="one")
    again = post_image(client, key="one")
    assert (first.status_code, again.status_code) == (201, 200)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.get_json() == again.get_json()
    assert stored(client) == [first.get_json()]


def test_a_key_with_other_bytes_is_refused(client: FlaskClient) -> None:
    first = post_image(client, key="one")
    other = post_image(client, (MLP / "golden/fashion-5.png").read_bytes(), key="one")
    assert error_of(other)[:2] == (422, "idempotency_key_reused")
    assert stored(client) == [first.get_json()]


def test_the_key_of_a_deleted_prediction_is_gone(client: FlaskClient) -> None:
    assert client.delete(location(post_image(client, key="one"))).status_code == 204
    assert error_of(post_image(client, key="one"))[:2] == (410, "gone")
    assert stored(client) == []


@pytest.mark.parametrize("key", ["", "x" * 256, "n\u00e4h", "tab\there"])
def test_a_bad_key_is_refused(client: FlaskClient, key: str) -> None:
    assert error_of(post_image(client, key=key))[:2] == (400, "invalid_request")
    assert stored(client) == []
