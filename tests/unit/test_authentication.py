from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from lookbook.http.routing import PublicBlueprint


def test_every_endpoint_that_is_not_public_requires_a_token(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    client = make_app(tokens_file=str(tmp_path / "tokens")).test_client()
    required, invalid = "a bearer token is required: ", "the bearer token is not valid: "
    for given, reason in (
        (None, required),
        ("Basic secret", required),
        ("Bearer ", required),
        ("Bearer wrong", invalid),
    ):
        headers = {"Authorization": given} if given else {}
        for path in ("/v1/predictions", "/api/tasks", "/v1/model", "/nothing"):
            response = client.get(path, headers=headers)
            assert (response.status_code, response.get_json()["error"]["code"]) == (401, "unauthorized")
            assert response.get_json()["error"]["message"].startswith(reason)
            assert response.headers["WWW-Authenticate"] == "Bearer"
        assert client.post("/api/tasks/upload", headers=headers).status_code == 401
    assert client.get("/api/tasks", headers={"Authorization": "Bearer secret"}).get_json() == []
    assert (
        client.get("/livez").status_code
        == client.get("/readyz").status_code
        == client.get("/metrics").status_code
        == 200
    )


def test_public_endpoints_are_these(app: Flask) -> None:
    """A new endpoint requires a token unless its blueprint says otherwise."""
    public = {rule.rule for rule in app.url_map.iter_rules() if is_public(app, rule.endpoint)}
    assert public == {
        *("/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs.css", "/", "/web/<version>/<name>"),
        *("/v2/health/live", "/v2/health/ready"),
        *("/v2/models/<name>/ready", "/v2/models/<name>/versions/<version>/ready"),
    }


def is_public(app: Flask, endpoint: str) -> bool:
    return isinstance(app.blueprints[endpoint.rpartition(".")[0]], PublicBlueprint)


def test_the_app_does_not_start_without_its_tokens_file(make_app: Callable[..., Flask]) -> None:
    with pytest.raises(FileNotFoundError):
        make_app(tokens_file="/nowhere/tokens")


def test_changes_of_the_tokens_file_take_effect_at_once(make_app: Callable[..., Flask], tmp_path: Path) -> None:
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
