"""The page at / and the files that it loads. They are read once, when the worker starts."""

import hashlib
from pathlib import Path

from flask import Response, current_app, request

from lookbook.errors import NotFound
from lookbook.http.routing import PublicBlueprint

blueprint = PublicBlueprint("page", __name__)

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
    return _respond("index.html", _PAGE, "no-cache")


@blueprint.get("/web/<version>/<name>")
def file(version: str, name: str) -> Response:
    """A file of the page. A page from before an upgrade gets the new file, which must not be cached."""
    if name not in _FILES:
        raise NotFound(f"file {name} not found")
    cache_control = "public, max-age=31536000, immutable" if version == _VERSION else "no-store"
    return _respond(name, _FILES[name], cache_control)


@blueprint.after_request
def protect(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def _respond(name: str, data: bytes, cache_control: str) -> Response:
    kind = _TYPES[Path(name).suffix]
    response = current_app.response_class(data, content_type=f"{kind}; charset=utf-8")
    response.headers["Cache-Control"] = cache_control
    response.set_etag(hashlib.sha256(data).hexdigest()[:16])
    response.make_conditional(request)
    return response
