import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lookbook.http.app import create_app
from lookbook.model.inference import Classifier
from lookbook.settings import Settings
from lookbook.store import Store
from PIL import Image
from werkzeug.test import TestResponse

from tests.support.images import BOMB, encoded
from tests.support.places import BAG, MLP, PHOTOS
from tests.support.records import stored
from tests.support.running import until

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
UNKNOWN = "3a8f9d10-e71b-11f1-9300-3905d66e4a8f"


def post(client: FlaskClient, data: bytes = b"", name: str = "bag.png", **headers: str) -> TestResponse:
    return client.post("/v1/predictions", data={"image": (io.BytesIO(data or BAG.read_bytes()), name)}, headers=headers)


def message(response: TestResponse) -> tuple[int, str, str]:
    error = response.json["error"]
    return response.status_code, error["code"], error["message"]


def test_a_picture_gets_its_class_and_a_record(client: FlaskClient) -> None:
    response = post(client)
    record = response.json
    assert response.status_code == 201
    assert list(record) == ["id", "created_at", "file_name", "label", "score", "top", "model"]
    assert ID.fullmatch(record["id"])
    assert response.headers["Location"] == f"/v1/predictions/{record['id']}"
    assert (record["label"], record["file_name"]) == ("Bag", "bag.png")
    assert record["model"] == {"name": "fashion-mnist-mlp", "version": "2.2.0"}
    assert record["top"][0] == {"label": record["label"], "score": record["score"]}
    assert len(record["top"]) == 3
    age = datetime.now(UTC) - datetime.fromisoformat(record["created_at"])
    assert timedelta(0) <= age < timedelta(seconds=10)
    assert client.get(response.headers["Location"]).json == record
    assert stored(client) == [record]


def test_a_raw_body_is_a_picture_too(client: FlaskClient) -> None:
    response = client.post("/v1/predictions", data=BAG.read_bytes(), content_type="image/png")
    assert response.status_code == 201
    assert (response.json["label"], response.json["file_name"]) == ("Bag", "")


def test_a_thumbnail_is_kept(client: FlaskClient) -> None:
    location = post(client).headers["Location"]
    response = client.get(f"{location}/thumbnail")
    assert response.content_type == "image/webp"
    assert max(Image.open(io.BytesIO(response.data)).size) <= 96


def test_no_thumbnail_is_kept_where_they_are_off(make_app: Callable[..., Flask]) -> None:
    client = make_app(thumbnails=False).test_client()
    location = post(client).headers["Location"]
    assert message(client.get(f"{location}/thumbnail"))[:2] == (404, "not_found")


def test_a_deleted_record_is_gone(client: FlaskClient) -> None:
    location = post(client).headers["Location"]
    assert client.delete(location).status_code == 204
    assert client.get(location).status_code == 404
    assert client.get(f"{location}/thumbnail").status_code == 404
    assert client.delete(location).status_code == 404
    assert stored(client) == []


def test_the_list_is_walked_by_next(client: FlaskClient) -> None:
    ids = [post(client).json["id"] for _ in range(5)]
    first = client.get("/v1/predictions?limit=2").json
    second = client.get("/v1/predictions", query_string={"limit": 2, "cursor": first["next"]}).json
    third = client.get("/v1/predictions", query_string={"limit": 2, "cursor": second["next"]}).json
    assert [item["id"] for page in (first, second, third) for item in page["items"]] == ids[::-1]
    assert third["next"] is None


def test_the_list_is_filtered_by_label_and_time(client: FlaskClient) -> None:
    record = post(client).json
    sandal = (MLP / "golden/fashion-5.png").read_bytes()
    other = post(client, sandal).json
    assert client.get("/v1/predictions?label=Sandal").json["items"] == [other]
    assert client.get("/v1/predictions", query_string={"since": other["created_at"]}).json["items"] == [other]
    assert client.get("/v1/predictions", query_string={"until": other["created_at"]}).json["items"] == [record]
    assert client.get("/v1/predictions?since=2020-01-01T00:00:00%2B01:00").json["items"] == [other, record]
    assert client.get("/v1/predictions?since=2999-01-01T00:00:00+01:00").json["items"] == []


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("limit=-1", "limit must be a whole number from 1 to 1000"),
        ("limit=0", "limit must be"),
        ("limit=1001", "limit must be"),
        ("limit=ten", "limit must be"),
        ("limit=", "limit must be"),
        ("limit=%D9%A1", "limit must be"),
        ("cursor=yesterday", "cursor must be"),
        ("cursor=" + "0" * 40, "cursor must be"),
        ("cursor=6ba7b810-9dad-41d1-80b4-00c04fd430c8", "cursor must be"),
        ("since=yesterday", "since must be an RFC 3339 time"),
        ("since=2026-01-31", "since must be"),
        ("since=2026-02-30T00:00:00Z", "since must be"),
        ("until=2026-01-31T12:00:00", "until must be"),
        ("until=0001-01-01T00:00:00%2B23:59", "until must be"),
        ("page=2", "no parameter 'page' here"),
    ],
)
def test_a_bad_query_is_named(client: FlaskClient, query: str, complaint: str) -> None:
    status, code, text = message(client.get(f"/v1/predictions?{query}"))
    assert (status, code) == (400, "invalid_request")
    assert complaint in text


@pytest.mark.parametrize(
    "id", [UNKNOWN, "7", "x" * 300, "6ba7b810-9dad-41d1-80b4-00c04fd430c8", UNKNOWN.replace("-", "")]
)
@pytest.mark.parametrize("suffix", ["", "/thumbnail"])
def test_an_unknown_id_is_404(client: FlaskClient, id: str, suffix: str) -> None:
    assert message(client.get(f"/v1/predictions/{id}{suffix}"))[:2] == (404, "not_found")
    assert client.delete(f"/v1/predictions/{id}").status_code == 404


def test_the_manifest_is_shown(client: FlaskClient) -> None:
    manifest = client.get("/v1/model").json
    assert manifest["name"] == "fashion-mnist-mlp"
    assert manifest["labels"][8] == "Bag"


GIF = encoded(Image.new("L", (9, 9)), "GIF")


@pytest.mark.parametrize(
    ("data", "status", "code", "complaint"),
    [
        (b"", 400, "invalid_image", "empty"),
        (b"hello", 415, "unsupported_media_type", "not a JPEG, PNG or WebP"),
        (b"<html>", 415, "unsupported_media_type", "not a JPEG, PNG or WebP"),
        (b"<svg/>", 415, "unsupported_media_type", "not a JPEG, PNG or WebP"),
        (GIF, 415, "unsupported_media_type", "not a JPEG, PNG or WebP"),
        (BAG.read_bytes()[:200], 400, "invalid_image", "cannot be decoded"),
        ((PHOTOS / "shirt.jpg").read_bytes()[:3000], 400, "invalid_image", "cannot be decoded"),
        (BOMB, 413, "image_too_large", "169.0 megapixels"),
    ],
    ids=["empty", "text", "html", "svg", "gif", "cut png", "cut jpeg", "bomb"],
)
@pytest.mark.parametrize("raw", [False, True])
def test_a_bad_picture_is_named_and_nothing_is_stored(
    client: FlaskClient, data: bytes, raw: bool, status: int, code: str, complaint: str
) -> None:
    if raw:
        response = client.post("/v1/predictions", data=data, content_type="image/png")
    else:
        response = client.post("/v1/predictions", data={"image": (io.BytesIO(data), "x.png")})
    assert message(response)[:2] == (status, code)
    assert complaint in message(response)[2]
    assert stored(client) == []


@pytest.mark.parametrize(
    ("body", "status", "complaint"),
    [
        ({}, 415, "multipart/form-data or image/*"),
        ({"other": (io.BytesIO(b"x"), "x.png")}, 400, "no part named 'image' in the form; parts found: 'other'"),
        ({"image": [(io.BytesIO(b"x"), "x"), (io.BytesIO(b"y"), "y")]}, 400, "2 parts named 'image'"),
        ({f"part{i}": "x" for i in range(9)}, 400, "malformed"),
    ],
    ids=["no body", "wrong field", "two", "parts"],
)
def test_a_bad_form_is_named_and_nothing_is_stored(
    client: FlaskClient, body: dict, status: int, complaint: str
) -> None:
    kwargs = {"data": body, "content_type": "multipart/form-data"} if body else {}
    response = client.post("/v1/predictions", **kwargs)
    assert response.status_code == status
    assert complaint in message(response)[2]
    assert stored(client) == []


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/shadow", "x" * 300, "na\u00efve \N{SNOWMAN}.png", "%00", "' OR 1=1"]
)
def test_a_name_is_kept_as_text(client: FlaskClient, name: str) -> None:
    assert client.get(post(client, name=name).headers["Location"]).json["file_name"] == name


def multipart(head: bytes, data: bytes | None = None) -> dict[str, object]:
    body = b"--x\r\n" + head + b"\r\n\r\n" + (data or BAG.read_bytes()) + b"\r\n--x--\r\n"
    return {"data": body, "content_type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b'Content-Disposition: form-data; name="image"', ""),
        (b'Content-Disposition: form-data; name="image"; filename=""', ""),
        (b'Content-Disposition: form-data; name="image"; filename="a\0b.png"', "a\ufffdb.png"),
        (b'Content-Disposition: form-data; name="image"; filename="na\xefve.png"', "na\ufffdve.png"),
        (b'Content-Disposition: form-data; name="image"; filename="C:\\a\\"b\\".png"', 'C:\\a"b".png'),
    ],
    ids=["no name", "empty name", "NUL", "Latin-1", "backslashes"],
)
def test_odd_names(client: FlaskClient, head: bytes, name: str) -> None:
    response = client.post("/v1/predictions", **multipart(head))
    assert (response.status_code, response.json["file_name"]) == (201, name)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (
            multipart(b'Content-Disposition: form-data; name="image"; filename="' + b"x" * 2000 + b'"'),
            "longer than 1024",
        ),
        (
            multipart(b"X: " + bytes(1_000_000) + b'\r\nContent-Disposition: form-data; name="image"'),
            "a header over 16384",
        ),
        ({"data": bytes(1_000_000), "content_type": "multipart/form-data; boundary=x"}, "a header over 16384"),
        (multipart(b"Content-Type: image/png"), "malformed"),
        ({"data": b"nothing", "content_type": "multipart/form-data; boundary=x"}, "malformed"),
        ({"data": BAG.read_bytes(), "content_type": "multipart/form-data"}, "no boundary"),
        ({"data": b"--x\r\n", "content_type": "multipart/form-data; boundary=x"}, "malformed"),
    ],
)
def test_a_malformed_form_is_named(client: FlaskClient, body: dict, complaint: str) -> None:
    status, code, text = message(client.post("/v1/predictions", **body))
    assert (status, code) == (400, "invalid_request")
    assert complaint in text


def test_a_part_without_a_name_is_refused(client: FlaskClient) -> None:
    response = client.post("/v1/predictions", **multipart(b"Content-Disposition: form-data"))
    assert message(response)[:2] == (400, "invalid_request")


def test_a_palette_picture_without_its_palette_is_refused(client: FlaskClient) -> None:
    head, body = encoded(Image.new("P", (8, 8))).split(b"PLTE", 1)
    broken = head[:-4] + body[body.index(b"IDAT") - 4 :]
    response = client.post("/v1/predictions", data=broken, content_type="image/png")
    assert message(response)[:2] == (400, "invalid_image")


def test_a_body_over_the_limit_is_refused(make_app: Callable[..., Flask]) -> None:
    client = make_app(max_bytes=1000).test_client()
    assert message(post(client, bytes(1000))) == (413, "image_too_large", "the request body is larger than 1000 bytes")
    assert client.post("/v1/predictions", data=bytes(1001), content_type="image/png").status_code == 413


def test_a_key_sent_again_gives_the_stored_record(client: FlaskClient) -> None:
    first = post(client, **{"Idempotency-Key": "one"})
    again = post(client, **{"Idempotency-Key": "one"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json == again.json
    assert stored(client) == [first.json]


def test_a_key_with_other_bytes_is_refused(client: FlaskClient) -> None:
    first = post(client, **{"Idempotency-Key": "one"})
    other = post(client, (MLP / "golden/fashion-5.png").read_bytes(), **{"Idempotency-Key": "one"})
    assert message(other)[:2] == (422, "idempotency_key_reused")
    assert stored(client) == [first.json]


def test_a_key_does_not_bring_back_what_was_deleted(store: Store, classifier: Classifier) -> None:
    client = create_app(Settings(), classifier, store).test_client()
    location = post(client, **{"Idempotency-Key": "one"}).headers["Location"]
    assert client.delete(location).status_code == 204
    for _ in range(2):
        assert message(post(client, **{"Idempotency-Key": "one"}))[:2] == (410, "gone")
    assert client.get(location).status_code == 404
    assert stored(client) == []
    assert post(client, **{"Idempotency-Key": "two"}).status_code == 201


def test_a_key_does_not_bring_back_what_was_kept_long_enough(
    open_store: Callable[..., Store], classifier: Classifier
) -> None:
    client = create_app(Settings(retention=2), classifier, open_store(retention=2)).test_client()
    location = post(client, **{"Idempotency-Key": "one"}).headers["Location"]
    until(lambda: client.get(location).status_code == 404)
    assert message(post(client, **{"Idempotency-Key": "one"}))[:2] == (410, "gone")
    assert stored(client) == []


def test_a_refused_picture_does_not_use_up_its_key(client: FlaskClient) -> None:
    assert post(client, b"hello", **{"Idempotency-Key": "one"}).status_code == 415
    assert post(client, **{"Idempotency-Key": "one"}).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "n\u00e4h", "tab\there"])
def test_a_bad_key_is_refused(client: FlaskClient, key: str) -> None:
    assert message(post(client, **{"Idempotency-Key": key}))[:2] == (400, "invalid_request")
    assert stored(client) == []
