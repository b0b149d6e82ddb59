"""The Flask application, made of parts it is given."""

import logging
import re
import secrets
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import ClosingIterator

from lookbook.errors import Busy, CrossSite, RequestError, Unauthorized
from lookbook.http import health, tasks, v1
from lookbook.http import metrics as metrics_route
from lookbook.http.openapi import endpoints as openapi
from lookbook.http.page import endpoints as page
from lookbook.http.tokens import Tokens
from lookbook.http.v2 import endpoints as v2
from lookbook.model.inference import Classifier
from lookbook.pipeline import Pipeline
from lookbook.settings import Settings
from lookbook.store import Store
from lookbook.telemetry import metrics
from lookbook.telemetry.tracing import NoSpans, Spans, next_trace, read_trace

_LOG = logging.getLogger("service.requests")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_UNGUARDED = ("health", "metrics", "reference", "v2_health", "web")
_ADMITTED = "lookbook.admitted"
_CODES = {404: "not_found", 405: "method_not_allowed", 500: "internal_error"}


def create_app(settings: Settings, classifier: Classifier, store: Store, spans: Spans | None = None) -> Flask:
    """Without `spans` none are recorded. Raises OSError where the tokens' file cannot be read."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["settings"] = settings
    app.extensions["store"] = store
    app.extensions["classifier"] = classifier
    spans = spans or NoSpans()
    app.extensions["pipeline"] = Pipeline(settings, classifier, store, spans)
    for blueprint in (
        v1.blueprint,
        tasks.blueprint,
        v2.blueprint,
        v2.health,
        health.blueprint,
        metrics_route.blueprint,
        openapi.blueprint,
        page.blueprint,
    ):
        app.register_blueprint(blueprint)
    tokens = Tokens(Path(settings.tokens_file)) if settings.tokens_file else None
    free = threading.BoundedSemaphore(settings.max_requests)

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        parent = read_trace(request.headers.get("traceparent"))
        probed = request.blueprint in _UNGUARDED
        g.trace = next_trace(parent) if probed else spans.begin(f"{request.method} {_route()}", parent)

    @app.before_request
    def admit() -> None:
        """Refuse before the body is read."""
        if request.blueprint in _UNGUARDED:
            return
        if tokens and not tokens.accepts(_bearer()):
            raise Unauthorized("a bearer token is needed: Authorization: Bearer <token>")
        if request.method not in ("GET", "HEAD", "OPTIONS") and request.headers.get("Sec-Fetch-Site") in (
            "cross-site",
            "same-site",
        ):
            raise CrossSite("requests from other sites' pages are refused")
        if not free.acquire(blocking=False):
            metrics.refused.inc()
            raise Busy(f"this worker already has {settings.max_requests} requests; try again")
        request.environ[_ADMITTED] = True
        metrics.in_flight.inc()

    def leave(environ: dict[str, Any]) -> None:
        if environ.pop(_ADMITTED, False):
            metrics.in_flight.dec()
            free.release()

    answer = app.wsgi_app

    def wsgi_app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """A request counts until its answer has been sent: a client that reads slowly takes a thread, too."""
        with ExitStack() as stack:
            stack.callback(leave, environ)
            body = answer(environ, start_response)
            return ClosingIterator(body, stack.pop_all().close)

    app.wsgi_app = wsgi_app  # type: ignore[method-assign]

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["traceparent"] = g.trace.header
        metrics.requests.labels(_route(), str(response.status_code)).inc()
        if request.blueprint not in _UNGUARDED:
            spans.end(request.method, _route(), response.status_code)
            _LOG.info(
                "request",
                extra={
                    "request_id": g.request_id,
                    "method": request.method,
                    "path": request.path,
                    "status": response.status_code,
                    "ms": round((time.perf_counter() - g.began) * 1000, 2),
                    **g.get("error", {}),
                },
            )
        return response

    @app.errorhandler(RequestError)
    def refuse(error: RequestError) -> Response:
        g.error = {"error": error.code, "reason": str(error)}
        response = _error(error.status, error.code, str(error))
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        if isinstance(error, Unauthorized):
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @app.errorhandler(HTTPException)
    def fail(error: HTTPException) -> Response:
        status = error.code or 500
        response = _error(status, _CODES.get(status, "invalid_request"), error.description or error.name)
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response

    return app


def _route() -> str:
    return request.url_rule.rule if request.url_rule else "unknown"


def _error(status: int, code: str, message: str) -> Response:
    response = jsonify(error=message if v2.is_ours(request.path) else {"code": code, "message": message})
    response.status_code = status
    return response


def _bearer() -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
