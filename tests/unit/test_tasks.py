import io
import re

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.places import BAG


def upload(client: FlaskClient, name: str = "bag.png", **headers: str) -> TestResponse:
    return client.post("/api/tasks/upload", data={"image": (io.BytesIO(BAG.read_bytes()), name)}, headers=headers)


def test_the_answer_is_the_label_and_nothing_else(client: FlaskClient) -> None:
    response = upload(client)
    assert response.status_code == 200
    assert response.mimetype == "text/plain"
    assert response.text == "Bag"
    (task,) = client.get(response.headers["Location"]).json
    assert list(task) == ["id", "time", "image_name", "class_name"]
    assert (task["image_name"], task["class_name"]) == ("bag.png", "Bag")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", task["time"])
    assert client.get("/api/tasks").json == [task]


def test_the_list_is_walked_by_its_link(client: FlaskClient) -> None:
    names = [f"{i}.png" for i in range(5)]
    for name in names:
        upload(client, name)
    url, found = "/api/tasks?limit=2", []
    while url:
        response = client.get(url)
        found += [task["image_name"] for task in response.json]
        match = re.fullmatch(r'<(.+)>; rel="next"', response.headers.get("Link", ""))
        url = match.group(1) if match else ""
    assert found == names[::-1]


def test_bad_calls_are_named(client: FlaskClient) -> None:
    assert client.get("/api/tasks?limit=-1").status_code == 400
    assert client.get("/api/tasks?label=Bag").status_code == 400
    assert client.get("/api/tasks/unknown").json["error"]["code"] == "not_found"
    assert client.get("/api/tasks/upload").status_code == 405
    raw = client.post("/api/tasks/upload", data=BAG.read_bytes(), content_type="image/png")
    assert (raw.status_code, raw.json["error"]["code"]) == (415, "unsupported_media_type")
    assert client.get("/api/tasks").json == []


def test_a_key_sent_again_stores_once(client: FlaskClient) -> None:
    first, again = (upload(client, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first.headers["Location"] == again.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(client.get("/api/tasks").json) == 1
