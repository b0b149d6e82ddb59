import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid1

import pytest
from flask import Flask
from lookbook.http.openapi.document import document
from lookbook.http.roles import ALL_ROLES, roles_of
from lookbook.http.routing import PublicBlueprint

from tests.support.pages import DOCS
from tests.support.predictions import error_of


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


def test_each_endpoint_states_its_role_as_the_documentation_does(app: Flask) -> None:
    table = dict(
        re.findall(r"^\| `(\w+ /[^`]*)` \| ([\w ]+) \|", (DOCS / "reference/http.md").read_text(), re.MULTILINE)
    )
    described = {}
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule).replace("{text}", "{id}")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            roles = roles_of(app.view_functions[rule.endpoint])
            public = is_public(app, rule.endpoint)
            assert bool(roles) != public, f"{rule.endpoint} needs @needs(...) below its route"
            described[f"{method} {path}"] = "none" if public else "any" if roles == ALL_ROLES else " or ".join(roles)
            operation = document()["paths"][path][method.lower()]
            bearer = [entry["bearer"] for entry in operation.get("security", document()["security"]) if entry]
            assert bearer == ([] if public else [[] if roles == ALL_ROLES else sorted(roles)])
    assert table == described


def test_a_token_is_refused_where_it_lacks_the_role(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("writer predict\nreader read Ana\n")
    client = make_app(tokens_file=str(tmp_path / "tokens")).test_client()

    def status(method: str, path: str, token: str) -> int:
        return client.open(path, method=method, headers={"Authorization": f"Bearer {token}"}).status_code

    assert (status("GET", "/v1/predictions", "reader"), status("POST", "/v1/predictions", "reader")) == (200, 403)
    assert (status("GET", "/v1/predictions", "writer"), status("POST", "/v1/predictions", "writer")) == (403, 415)
    assert status("GET", "/v1/model", "reader") == status("GET", "/v1/model", "writer") == 200
    assert (status("GET", "/nothing", "reader"), status("PUT", "/v1/model", "reader")) == (404, 405)
    refused = client.delete(f"/v1/predictions/{uuid1()}", headers={"Authorization": "Bearer reader"})
    assert error_of(refused)[:2] == (403, "forbidden")
    assert "the role 'admin'" in error_of(refused)[2]
    refused = client.post("/v2/models/any/infer", headers={"Authorization": "Bearer reader"})
    assert (refused.status_code, "'predict'" in refused.get_json()["error"]) == (403, True)


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
