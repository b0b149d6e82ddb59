import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lookbook import __version__
from lookbook.http.openapi.document import document, resolved

from tests.support import contract
from tests.support.places import ROOT
from tests.support.running import Service

OPERATIONS = [
    operation for path in document()["paths"].values() for name, operation in path.items() if name != "parameters"
]
JSON = {"Content-Type": "application/json"}


def test_every_route_is_described_and_no_other(app: Flask) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", "{}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {
        (re.sub(r"\{\w+\}", "{}", path), method)
        for path, operations in document()["paths"].items()
        for method in operations.keys() - {"parameters"}
    }
    assert served == described


def test_operations_parameters_and_responses_have_descriptions() -> None:
    for path in document()["paths"].values():
        for method in path.keys() - {"parameters"}:
            operation = path[method]
            assert re.fullmatch(r"[A-Z][a-z]+ .*[^.]", operation["summary"])
            described = [
                operation,
                *path.get("parameters", []),
                *operation.get("parameters", []),
                *operation["responses"].values(),
            ]
            assert all(resolved(entry)["description"].endswith(".") for entry in described), operation["operationId"]


def test_the_description_is_served_to_all(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    client = make_app(tokens_file=str(tmp_path / "tokens")).test_client()
    found = client.get("/openapi.json").get_json()
    assert (found["openapi"], found["info"]["version"]) == ("3.1.0", __version__)
    assert client.get("/docs").status_code == client.get("/docs.css").status_code == 200


def test_the_docs_show_every_operation_and_load_nothing_from_elsewhere(client: FlaskClient) -> None:
    response = client.get("/docs")
    page = response.text
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {operation["operationId"] for operation in OPERATIONS} < set(ids)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert set(re.findall(r'(?:href|src)="([^#"][^"]*)"', page)) == {"data:,", "docs.css", "openapi.json"}
    assert "<script" not in page
    assert "style=" not in page
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("method", "path", "status", "headers", "body"),
    [
        ("GET", "/v1/model", 418, {}, b""),
        ("GET", "/nothing", 200, {"Content-Type": "text/plain"}, b""),
        ("GET", "/v1/predictions", 200, {"Content-Type": "text/html"}, b""),
        ("GET", "/v1/predictions", 200, JSON, b'{"items": []}'),
        ("GET", "/v1/predictions", 200, JSON, b'{"items": [], "next": null, "x": 1}'),
        (
            "GET",
            "/v1/predictions",
            503,
            {"Content-Type": "application/json"},
            b'{"error": {"code": "busy", "message": ""}}',
        ),
        (
            "GET",
            "/v2/nothing",
            404,
            {"Content-Type": "application/json"},
            b'{"error": {"code": "busy", "message": ""}}',
        ),
        ("DELETE", "/v1/predictions/1", 204, {}, b"x"),
        ("PUT", "/v1/model", 200, JSON, b"{}"),
    ],
)
def test_a_response_that_is_not_described_fails_the_check(
    method: str, path: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    with pytest.raises(AssertionError):
        contract.check(method, path, status, headers, body)


def test_schemathesis_finds_nothing(serve: Callable[..., Service], tmp_path: Path) -> None:
    # Without this setting, not every prediction has an image.
    service = serve(keep_for="all").ready()
    st = [str(Path(sys.executable).parent / "st"), f"--config-file={ROOT}/tests/support/schemathesis.toml", "run"]
    # Without this option it skips the path of the document itself.
    options = ["--include-path-regex", ".", "--max-examples", "15", "--continue-on-failure", "--no-color"]
    run = subprocess.run(
        [*st, f"{service.url}/openapi.json", *options, "--checks", "all", "--seed", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert run.returncode == 0, run.stdout + service.log.read_text()[-2000:]
    assert f"Tested: {len(OPERATIONS)}" in run.stdout
