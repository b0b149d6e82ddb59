"""The id, the trace, the log line, and the metrics of each request."""

import logging
import re
import secrets
import time

from flask import Flask, Response, g

from lookbook.http.routing import request
from lookbook.telemetry import metrics
from lookbook.telemetry.tracing import Spans, next_trace, read_trace

_LOG = logging.getLogger("lookbook.requests")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


def init_app(app: Flask, spans: Spans) -> None:
    """Identify and count every request; log those to endpoints that are not public, and record their spans."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        parent = read_trace(request.headers.get("traceparent"))
        g.trace = next_trace(parent) if request.is_public else spans.begin(f"{request.method} {_route()}", parent)

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["traceparent"] = g.trace.header
        metrics.requests.labels(_route(), str(response.status_code)).inc()
        if not request.is_public:
            spans.end(request.method, _route(), response.status_code)
            _log(response.status_code)
        return response


def _log(status: int) -> None:
    fields = {
        "request_id": g.request_id,
        "method": request.method,
        "path": request.path,
        "status": status,
        "ms": round((time.perf_counter() - g.began) * 1000, 2),
        **g.get("error", {}),
    }
    _LOG.info("request", extra=fields)


def _route() -> str:
    return request.url_rule.rule if request.url_rule else "unknown"
