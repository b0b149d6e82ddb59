import gzip
import io
import random
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lookbook.http.multipart import parse, parse_plain
from PIL import Image

from tests.support.images import BOMB, encoded
from tests.support.places import BAG, PHOTOS
from tests.support.predictions import error_of, location, post_image, stored

GIF = encoded(Image.new("L", (9, 9)), "GIF")


@pytest.mark.parametrize(
    ("data", "status", "code", "message"),
    [
        (b"", 400, "invalid_image", "empty"),
        (b"hello", 415, "unsupported_media_type", "not a JPEG, PNG, or WebP"),
        (b"<html>", 415, "unsupported_media_type", "not a JPEG, PNG, or WebP"),
        (b"<svg/>", 415, "unsupported_media_type", "not a JPEG, PNG, or WebP"),
        (GIF, 415, "unsupported_media_type", "not a JPEG, PNG, or WebP"),
        (BAG.read_bytes()[:200], 400, "invalid_image", "cannot be decoded"),
        ((PHOTOS / "shirt.jpg").read_bytes()[:3000], 400, "invalid_image", "cannot be decoded"),
        (BOMB, 413, "image_too_large", "169.0 megapixels"),
    ],
    ids=["empty", "text", "html", "svg", "gif", "cut png", "cut jpeg", "bomb"],
)
@pytest.mark.parametrize("raw", [False, True])
def test_a_bad_image_is_refused_and_nothing_is_stored(
    client: FlaskClient, data: bytes, raw: bool, status: int, code: str, message: str
) -> None:
    if raw:
        response = client.post("/v1/predictions", data=data, content_type="image/png")
    else:
        response = client.post("/v1/predictions", data={"image": (io.BytesIO(data), "x.png")})
    assert error_of(response)[:2] == (status, code)
    assert message in error_of(response)[2]
    assert stored(client) == []


@pytest.mark.parametrize(
    ("form", "status", "message"),
    [
        ({}, 415, "multipart/form-data or image/*"),
        (
            {"other": (io.BytesIO(b"x"), "x.png")},
            400,
            "no part named 'image' in the form; parts found: 'other'; name the part 'image'",
        ),
        ({"image": [(io.BytesIO(b"x"), "x"), (io.BytesIO(b"y"), "y")]}, 400, "2 parts named 'image'"),
        ({f"part{i}": "x" for i in range(9)}, 400, "malformed"),
    ],
    ids=["no body", "wrong field", "two", "parts"],
)
def test_a_bad_form_is_refused_and_nothing_is_stored(
    client: FlaskClient, form: dict[str, Any], status: int, message: str
) -> None:
    options: dict[str, Any] = {"data": form, "content_type": "multipart/form-data"} if form else {}
    response = client.post("/v1/predictions", **options)
    assert response.status_code == status
    assert message in error_of(response)[2]
    assert stored(client) == []


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/shadow", "x" * 300, "na\u00efve \N{SNOWMAN}.png", "%00", "' OR 1=1"]
)
def test_a_file_name_is_stored_as_text(client: FlaskClient, name: str) -> None:
    assert client.get(location(post_image(client, name=name))).get_json()["file_name"] == name


def multipart(head: bytes, data: bytes | None = None) -> dict[str, Any]:
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
def test_odd_file_names(client: FlaskClient, head: bytes, name: str) -> None:
    response = client.post("/v1/predictions", **multipart(head))
    assert (response.status_code, response.get_json()["file_name"]) == (201, name)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            multipart(b'Content-Disposition: form-data; name="image"; filename="' + b"x" * 2000 + b'"'),
            "longer than 1024",
        ),
        (
            multipart(b"X: " + bytes(1_000_000) + b'\r\nContent-Disposition: form-data; name="image"'),
            "the header of a part exceeds 16384",
        ),
        (
            {"data": bytes(1_000_000), "content_type": "multipart/form-data; boundary=x"},
            "the header of a part exceeds 16384",
        ),
        (multipart(b"Content-Type: image/png"), "malformed"),
        ({"data": b"nothing", "content_type": "multipart/form-data; boundary=x"}, "malformed"),
        ({"data": BAG.read_bytes(), "content_type": "multipart/form-data"}, "no boundary"),
        ({"data": b"--x\r\n", "content_type": "multipart/form-data; boundary=x"}, "malformed"),
    ],
)
def test_a_malformed_form_is_refused(client: FlaskClient, body: dict[str, Any], message: str) -> None:
    status, code, text = error_of(client.post("/v1/predictions", **body))
    assert (status, code) == (400, "invalid_request")
    assert message in text


def test_a_part_without_a_name_is_refused(client: FlaskClient) -> None:
    response = client.post("/v1/predictions", **multipart(b"Content-Disposition: form-data"))
    assert error_of(response)[:2] == (400, "invalid_request")


def test_what_most_clients_send_is_read_in_one_pass() -> None:
    head = b'Content-Disposition: form-data; name="image"; filename="a b.png"\r\nContent-Type: image/png'
    form = parse_plain(multipart(head, b"data")["data"], b"x", "image")
    assert form
    assert form.files == [("a b.png", b"data")]


def test_one_pass_reads_the_same_as_the_decoder() -> None:
    chance = random.Random(1)
    heads = [b"", b"\r\nContent-Type: image/png", b"\r\nX: y", b"\r\n", b"\n"]
    pieces = [b"--x", b"--", b"\r\n", b"\r", b"\n", b"--x--", b"\r\n--x--\r\n", b'"', b"data"]
    read = 0
    for _ in range(5000):
        body = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="%s"' % (
            chance.choice([b"image", b"other", b""]),
            chance.choice([b"a.png", b" (1)", b"", b'"', b"a\\b", b"\xe9", b"%22"]),
        )
        body += chance.choice(heads) + b"\r\n\r\n" + b"".join(chance.choices(pieces, k=chance.randrange(4)))
        body += chance.choice([b"\r\n--x--\r\n", b"\r\n--x--"])
        if form := parse_plain(body, b"x", "image"):
            read += 1
            expected = parse([body], b"x", "image")
            assert (form.files, form.other_names) == (expected.files, expected.other_names), body
    assert read > 100


def test_a_palette_image_without_its_palette_is_refused(client: FlaskClient) -> None:
    head, body = encoded(Image.new("P", (8, 8))).split(b"PLTE", 1)
    broken = head[:-4] + body[body.index(b"IDAT") - 4 :]
    response = client.post("/v1/predictions", data=broken, content_type="image/png")
    assert error_of(response)[:2] == (400, "invalid_image")


def test_a_body_over_the_limit_is_refused(make_app: Callable[..., Flask]) -> None:
    client = make_app(max_bytes=1000).test_client()
    response = post_image(client, bytes(1000))
    assert error_of(response) == (
        413,
        "image_too_large",
        "the request body is larger than 1,000 bytes: send a smaller image or batch",
    )
    assert client.post("/v1/predictions", data=bytes(1001), content_type="image/png").status_code == 413


@pytest.mark.parametrize("path", ["/v1/predictions", "/api/tasks/upload"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "aws-chunked"])
def test_compressed_bodies_are_refused(client: FlaskClient, path: str, encoding: str) -> None:
    data = gzip.compress(BAG.read_bytes())
    kind = "image/png" if path.startswith("/v1") else "multipart/form-data; boundary=x"
    response = client.post(path, data=data, content_type=kind, headers={"Content-Encoding": encoding})
    assert error_of(response)[:2] == (415, "unsupported_media_type")
    assert "send the body uncompressed" in error_of(response)[2]
