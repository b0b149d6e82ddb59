from collections.abc import Callable
from typing import Any

from flask import Flask, Response, send_file

from tests.support.contract import Client
from tests.support.places import BAG
from tests.support.predictions import location


def test_a_request_counts_until_its_response_is_sent(make_app: Callable[..., Flask]) -> None:
    client = make_app(max_requests=1).test_client()
    unread = client.get("/v1/model", buffered=False)
    assert unread.status_code == 200
    refused = client.get("/v1/model")
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (503, "busy")
    unread.close()
    assert client.get("/v1/model").status_code == 200


def test_no_response_leaves_its_request_counted(make_app: Callable[..., Flask]) -> None:
    app = make_app(max_requests=1, max_bytes=1000)

    @app.get("/file")
    def file() -> Response:
        return send_file(BAG)

    @app.get("/defect")
    def defect() -> Response:
        raise ZeroDivisionError

    client = Client(app, app.response_class, undescribed={"/file", "/defect"})
    image: dict[str, Any] = {"data": BAG.read_bytes(), "content_type": "image/png"}
    path = location(client.post("/v1/predictions", **image))
    requests: list[tuple[str, str, dict[str, Any], int]] = [
        ("HEAD", "/v1/model", {}, 200),
        ("OPTIONS", "/v1/model", {}, 200),
        ("GET", "/file", {}, 200),
        ("GET", "/file", {"headers": {"If-None-Match": "*"}}, 304),
        ("GET", "/defect", {}, 500),
        ("GET", "/nothing", {}, 404),
        ("PUT", "/v1/model", {}, 405),
        ("POST", "/v1/predictions", {**image, "headers": {"Sec-Fetch-Site": "cross-site"}}, 403),
        ("POST", "/v1/predictions", {**image, "data": bytes(1001)}, 413),
        ("DELETE", path, {}, 204),
    ]
    for method, path, options, status in requests:
        assert client.open(path, method=method, **options).status_code == status, (method, path)
