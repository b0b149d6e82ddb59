"""/openapi.json and /docs, the same document for people. Tests: tests/unit/test_openapi.py."""

import functools
from pathlib import Path
from typing import Any

from flask import Response, current_app
from jinja2 import Environment, FileSystemLoader

from lookbook.http.openapi.document import document, resolved
from lookbook.http.routing import PublicBlueprint

blueprint = PublicBlueprint("openapi", __name__)

_FOLDER = Path(__file__).parent
# The page loads only its own style sheet.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@blueprint.get("/openapi.json")
def openapi() -> dict[str, Any]:
    return document()


@blueprint.get("/docs")
def docs() -> Response:
    response = current_app.response_class(_page(), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@blueprint.get("/docs.css")
def style() -> Response:
    response = current_app.response_class((_FOLDER / "docs.css").read_bytes(), content_type="text/css; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    return response


@functools.cache
def _page() -> str:
    environment = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["anchor"] = lambda text: text.lower().replace(" ", "-")
    environment.filters["resolved"] = resolved
    return environment.get_template("docs.html").render(document())
