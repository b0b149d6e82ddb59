"""/openapi.json, which describes every call, and /docs, the same to read."""

import functools
import json
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app
from jinja2 import Environment, FileSystemLoader

from lookbook import __version__

blueprint = Blueprint("reference", __name__)

_FOLDER = Path(__file__).parent
# Nothing but the page and its own style.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@functools.cache
def document() -> dict[str, Any]:
    """The OpenAPI document, of this version."""
    found: dict[str, Any] = json.loads((_FOLDER / "openapi.json").read_text())
    found["info"]["version"] = __version__
    return found


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


def resolved(entry: dict[str, Any]) -> dict[str, Any]:
    """The component that an entry refers to, or the entry itself."""
    if "$ref" not in entry:
        return entry
    _, _, kind, name = entry["$ref"].split("/")
    found: dict[str, Any] = document()["components"][kind][name]
    return found
