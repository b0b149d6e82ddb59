from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import BAG


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
