"""The limit on the requests that a worker handles at once."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from werkzeug.wsgi import ClosingIterator

from lookbook.errors import Busy
from lookbook.http.environ import ADMITTED, INCOMPLETE
from lookbook.http.guards import guard
from lookbook.http.routing import request
from lookbook.telemetry import metrics


def init_app(app: Flask, limit: int) -> None:
    """Refuse a request while `limit` others are in progress."""
    admission = _Admission(app.wsgi_app, limit)
    guard(app, admission.admit)
    app.wsgi_app = admission  # type: ignore[method-assign]


class _Admission:
    """WSGI middleware that counts a request until its response is sent: a slow reader takes a thread, too."""

    def __init__(self, app: Callable[..., Iterable[bytes]], limit: int) -> None:
        self._app = app
        self._limit = limit
        self._admitted = 0
        self._lock = threading.Lock()

    def admit(self) -> None:
        """Count the current request, unless its body is still arriving; raises Busy if there is no room for it."""
        arriving = INCOMPLETE in request.environ and request.method == "POST" and not request.routing_exception
        with self._lock:
            full = self._admitted >= self._limit
            self._admitted += not (full or arriving)
        if full:
            metrics.refused.inc()
            raise Busy(f"this worker is already handling {self._limit} requests; try again later")
        if not arriving:
            request.environ[ADMITTED] = True
            metrics.in_flight.inc()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            body = self._app(environ, start_response)
            return ClosingIterator(body, lambda: self._leave(environ))
        except BaseException:
            self._leave(environ)
            raise

    def _leave(self, environ: dict[str, Any]) -> None:
        if environ.pop(ADMITTED, False):
            metrics.in_flight.dec()
            with self._lock:
                self._admitted -= 1
