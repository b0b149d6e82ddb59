from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask, Response, send_file
from flask.testing import FlaskClient

from tests.support.places import BAG


@pytest.mark.parametrize(
    "path", ["/nothing", "/v1", "/v1/predictions/", "/api/tasks/upload/x", "/..%2f..%2fetc/passwd"]
)
def test_an_unknown_path_is_404_in_json(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.json["error"]["code"] == "not_found"


def test_a_wrong_method_is_405_and_says_which_are_right(client: FlaskClient) -> None:
    response = client.put("/v1/predictions")
    assert (response.status_code, response.json["error"]["code"]) == (405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


def test_a_request_id_is_kept_or_made(client: FlaskClient) -> None:
    assert client.get("/livez", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    made = client.get("/livez", headers={"X-Request-Id": "with space"}).headers["X-Request-Id"]
    assert len(made) == 16
    assert made != client.get("/livez").headers["X-Request-Id"]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_pages_cannot_write(client: FlaskClient, site: str) -> None:
    response = client.post(
        "/v1/predictions", data=BAG.read_bytes(), content_type="image/png", headers={"Sec-Fetch-Site": site}
    )
    assert (response.status_code, response.json["error"]["code"]) == (403, "cross_site")
    assert client.delete("/v1/predictions/x", headers={"Sec-Fetch-Site": site}).status_code == 403
    assert client.get("/v1/predictions", headers={"Sec-Fetch-Site": site}).json["items"] == []


def test_no_answer_allows_other_origins(client: FlaskClient) -> None:
    response = client.get("/v1/predictions", headers={"Origin": "http://elsewhere.example"})
    assert not [name for name in response.headers.keys() if name.lower().startswith("access-control")]  # noqa: SIM118


def test_tokens_guard_all_but_health_and_metrics(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    client = make_app(tokens_file=str(tmp_path / "tokens")).test_client()
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"}):
        for path in ("/v1/predictions", "/api/tasks", "/v1/model", "/nothing"):
            response = client.get(path, headers=headers)
            assert (response.status_code, response.json["error"]["code"]) == (401, "unauthorized")
            assert response.headers["WWW-Authenticate"] == "Bearer"
        assert client.post("/api/tasks/upload", headers=headers).status_code == 401
    assert client.get("/api/tasks", headers={"Authorization": "Bearer secret"}).json == []
    assert (
        client.get("/livez").status_code
        == client.get("/readyz").status_code
        == client.get("/metrics").status_code
        == 200
    )


def test_a_tokens_file_that_is_not_there_stops_the_start(make_app: Callable[..., Flask]) -> None:
    with pytest.raises(FileNotFoundError):
        make_app(tokens_file="/nowhere/tokens")


def test_a_tokens_file_counts_as_it_is_now(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    client = make_app(tokens_file=str(tmp_path / "tokens")).test_client()

    def status(header: str) -> int:
        return client.get("/api/tasks", headers={"Authorization": header}).status_code

    assert status("Bearer secret") == 200
    (tmp_path / "tokens").unlink()
    (tmp_path / "tokens").mkdir()
    assert (status("Bearer secret"), status("Bearer other")) == (200, 401)
    (tmp_path / "tokens").rmdir()
    (tmp_path / "tokens").write_text("")
    assert (status("Bearer secret"), status("Bearer "), status("")) == (401, 401, 401)


def test_a_request_counts_until_its_answer_is_sent(make_app: Callable[..., Flask]) -> None:
    client = make_app(max_requests=1).test_client()
    unread = client.get("/v1/model", buffered=False)
    assert unread.status_code == 200
    refused = client.get("/v1/model")
    assert (refused.status_code, refused.json["error"]["code"]) == (503, "busy")
    unread.close()
    assert client.get("/v1/model").status_code == 200


def test_no_answer_leaves_its_request_counted(make_app: Callable[..., Flask]) -> None:
    app = make_app(max_requests=1, max_bytes=1000)

    @app.get("/file")
    def file() -> Response:
        return send_file(BAG)

    @app.get("/defect")
    def defect() -> Response:
        raise ZeroDivisionError

    client = app.test_client()
    client.undescribed = {"/file", "/defect"}
    picture = {"data": BAG.read_bytes(), "content_type": "image/png"}
    location = client.post("/v1/predictions", **picture).headers["Location"]
    for method, path, options, status in (
        ("HEAD", "/v1/model", {}, 200),
        ("OPTIONS", "/v1/model", {}, 200),
        ("GET", "/file", {}, 200),
        ("GET", "/file", {"headers": {"If-None-Match": "*"}}, 304),
        ("GET", "/defect", {}, 500),
        ("GET", "/nothing", {}, 404),
        ("PUT", "/v1/model", {}, 405),
        ("POST", "/v1/predictions", {**picture, "headers": {"Sec-Fetch-Site": "cross-site"}}, 403),
        ("POST", "/v1/predictions", {**picture, "data": bytes(1001)}, 413),
        ("DELETE", location, {}, 204),
    ):
        assert client.open(path, method=method, **options).status_code == status, (method, path)
