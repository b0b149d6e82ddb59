import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.places import ROOT

FOLDER = ROOT / "service/lookbook/http/page"
MOST_BYTES = 90_000
NAMES = {path.name for path in FOLDER.iterdir() if path.suffix in (".css", ".html", ".js", ".svg")}


def files(client: FlaskClient) -> set[str]:
    """The paths of the files that the page loads."""
    return set(re.findall(r'(?:href|src)="(web/[^"]+)"', client.get("/").text))


def test_the_page_is_below_its_size(client: FlaskClient) -> None:
    assert sum(len(client.get(path).data) for path in ("/", *files(client))) < MOST_BYTES
    assert sum((FOLDER / name).stat().st_size for name in NAMES) < MOST_BYTES


def test_the_page_names_every_file_once(client: FlaskClient) -> None:
    assert {Path(path).name for path in files(client)} == NAMES - {"index.html"}
    assert "{version}" not in client.get("/").text


@pytest.mark.parametrize(
    ("name", "kind"), [("page.css", "text/css"), ("app.js", "text/javascript"), ("icon.svg", "image/svg+xml")]
)
def test_a_file_is_cached_forever(client: FlaskClient, name: str, kind: str) -> None:
    (path,) = (path for path in files(client) if path.endswith(f"/{name}"))
    response = client.get(path)
    assert response.data == (FOLDER / name).read_bytes()
    assert response.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_page_from_before_an_upgrade_still_finds_its_files(client: FlaskClient) -> None:
    response = client.get("/web/0123456789abcdef/app.js")
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")


def test_the_page_is_revalidated_and_sent_once(client: FlaskClient) -> None:
    first = client.get("/")
    assert first.headers["Content-Type"] == "text/html; charset=utf-8"
    assert first.headers["Cache-Control"] == "no-cache"
    again = client.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert client.head("/").headers["Content-Length"] == str(len(first.data))


def test_the_page_runs_only_its_own_code(client: FlaskClient) -> None:
    for path in ("/", "/web/x/app.js", "/web/x/nothing.js"):
        headers = client.get(path).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_nothing_in_the_page_names_another_host() -> None:
    for name in NAMES:
        found = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", (FOLDER / name).read_text()))
        assert found <= {"http://www.w3.org"}, name


@pytest.mark.parametrize("name", ["nothing.js", "index.html", "assets.py", "..%2fv1.py", "%2e%2e/app.py"])
def test_other_files_are_not_served(client: FlaskClient, name: str) -> None:
    response = client.get(f"/web/x/{name}")
    assert (response.status_code, response.get_json()["error"]["code"]) == (404, "not_found")


def test_the_page_allows_only_get(client: FlaskClient) -> None:
    assert client.post("/").status_code == 405


def test_the_page_needs_no_token(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    client = make_app(tokens_file=str(tmp_path / "tokens")).test_client()
    assert {client.get(path).status_code for path in ("/", *files(client))} == {200}
    assert client.get("/v1/model").status_code == 401


def test_the_page_does_not_count_against_the_limit(make_app: Callable[..., Flask]) -> None:
    client = make_app(max_requests=1).test_client()
    unread = client.get("/v1/model", buffered=False)
    assert client.get("/v1/model").status_code == 503
    assert {client.get(path).status_code for path in ("/", *files(client))} == {200}
    unread.close()
