import re
from urllib.parse import urljoin

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.places import BAG
from tests.support.predictions import error_of, location, post_image


def upload(client: FlaskClient, name: str = "bag.png", key: str | None = None) -> TestResponse:
    return post_image(client, name=name, key=key, path="/api/tasks/upload")


def test_the_response_is_the_label_and_nothing_else(client: FlaskClient) -> None:
    response = upload(client)
    assert response.status_code == 200
    assert response.mimetype == "text/plain"
    assert response.text == "Bag"


def test_a_task_is_one_object(client: FlaskClient) -> None:
    task = client.get(location(upload(client))).get_json()
    assert list(task) == ["id", "time", "image_name", "class_name"]
    assert (task["image_name"], task["class_name"]) == ("bag.png", "Bag")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", task["time"])
    assert client.get("/api/tasks").get_json() == [task]


def test_pages_are_linked(client: FlaskClient) -> None:
    names = [f"{i}.png" for i in range(5)]
    for name in names:
        upload(client, name)
    url: str = "/api/tasks?limit=2"
    found: list[str] = []
    while url:
        response = client.get(url)
        found += [task["image_name"] for task in response.get_json()]
        match = re.fullmatch(r'<(.+)>; rel="next"', response.headers.get("Link", ""))
        url = urljoin(url, match.group(1)) if match else ""
    assert found == names[::-1]


def test_bad_requests_are_refused(client: FlaskClient) -> None:
    assert client.get("/api/tasks?limit=-1").status_code == 400
    assert client.get("/api/tasks?label=Bag").status_code == 400
    assert error_of(client.get("/api/tasks/unknown"))[1] == "not_found"
    assert client.get("/api/tasks/upload").status_code == 405
    raw = client.post("/api/tasks/upload", data=BAG.read_bytes(), content_type="image/png")
    assert error_of(raw)[:2] == (415, "unsupported_media_type")
    assert client.get("/api/tasks").get_json() == []


def test_a_repeated_key_stores_once(client: FlaskClient) -> None:
    first, again = (upload(client, key="k") for _ in range(2))
    assert first.headers["Location"] == again.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(client.get("/api/tasks").get_json()) == 1
