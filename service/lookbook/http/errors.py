"""Errors as JSON responses."""

from collections.abc import Callable

from flask import Blueprint, Flask, Response, g, jsonify
from werkzeug.exceptions import HTTPException

from lookbook.errors import RequestError, Unauthorized

# Code and message by status, in place of Werkzeug's.
_ERRORS = {
    404: ("not_found", "no such path: see GET /docs"),
    405: ("method_not_allowed", "the path does not support this method: use one that the Allow header lists"),
    500: (
        "internal_error",
        "the server failed to handle the request: look for this X-Request-Id in its log; the traceback has the same "
        "trace_id",
    ),
}


def init_app(app: Flask) -> None:
    """Answer errors with `{"error": {"code", "message"}}`."""
    handle_errors(app, lambda code, message: {"error": {"code": code, "message": message}})


def handle_errors(target: Flask | Blueprint, body: Callable[[str, str], object]) -> None:
    """Answer errors of an app or a blueprint with the JSON body that is made of a code and a message."""

    def respond(status: int, code: str, message: str) -> Response:
        response = jsonify(body(code, message))
        response.status_code = status
        return response

    @target.errorhandler(RequestError)
    def refuse(error: RequestError) -> Response:
        g.error = {"error": error.code, "reason": str(error)}  # for the request log
        response = respond(error.status, error.code, str(error))
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        if isinstance(error, Unauthorized):
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @target.errorhandler(HTTPException)
    def fail(error: HTTPException) -> Response:
        status = error.code or 500
        code, message = _ERRORS.get(status, ("invalid_request", error.description or error.name))
        response = respond(status, code, message)
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response
