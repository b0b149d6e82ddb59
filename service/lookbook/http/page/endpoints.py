"""The page at / and the files it loads, read once."""

import hashlib
from pathlib import Path

from flask import Blueprint, Response, current_app, request

from lookbook.errors import NotFound

blueprint = Blueprint("web", __name__)

_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PATHS = sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in _TYPES)
_FILES = {path.name: path.read_bytes() for path in _PATHS}
_VERSION = hashlib.sha256(b"".join(name.encode() + data for name, data in _FILES.items())).hexdigest()[:16]
_PAGE = _FILES.pop("index.html").replace(b"{version}", _VERSION.encode())
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


@blueprint.get("/")
def page() -> Response:
    return _answer("index.html", _PAGE, "no-cache")


@blueprint.get("/web/<version>/<name>")
def file(version: str, name: str) -> Response:
    """A file of the page; a page from before an upgrade gets today's, to be kept by nobody."""
    if name not in _FILES:
        raise NotFound(f"no file {name}")
    keep = "public, max-age=31536000, immutable" if version == _VERSION else "no-store"
    return _answer(name, _FILES[name], keep)


@blueprint.after_request
def protect(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def _answer(name: str, data: bytes, keep: str) -> Response:
    kind = _TYPES[Path(name).suffix]
    response = current_app.response_class(data, content_type=f"{kind}; charset=utf-8")
    response.headers["Cache-Control"] = keep
    response.set_etag(hashlib.sha256(data).hexdigest()[:16])
    response.make_conditional(request)
    return response
