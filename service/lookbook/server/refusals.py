"""Responses to requests that gunicorn rejects before the application sees them, in the form of the application's own.

Tests: tests/server/test_worker.py.
"""

import json
from typing import NamedTuple

from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidHeader,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)

# What gunicorn's parser rejects with a status other than 400: status, code, and message.
_REFUSALS = {
    LimitRequestLine: ("414 URI Too Long", "uri_too_long", "the request line is too long: shorten the URL"),
    ExpectationFailed: (
        "417 Expectation Failed",
        "expectation_failed",
        "the Expect header can only be 100-continue: remove it",
    ),
    LimitRequestHeaders: (
        "431 Request Header Fields Too Large",
        "head_too_large",
        "the headers are too many or too long: send fewer or shorter ones",
    ),
    UnsupportedTransferCoding: (
        "501 Not Implemented",
        "not_implemented",
        "the Transfer-Encoding is not supported: send the body chunked or with a Content-Length",
    ),
}


class Refusal(NamedTuple):
    """An error response, after which the connection closes."""

    status: str
    code: str
    message: str
    by_client: bool

    def encode(self) -> bytes:
        """Head and body, for the socket."""
        body = json.dumps({"error": {"code": self.code, "message": self.message}}).encode()
        head = f"HTTP/1.1 {self.status}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def refusal(error: BaseException) -> Refusal:
    """The response to what gunicorn could not parse, or failed to handle."""
    if isinstance(error, ParseException) and not isinstance(error, InvalidResponseHeader | InvalidResponseHeaderName):
        if isinstance(error, InvalidHeader) and error.hdr == "TRANSFER-ENCODING" and error.req.must_close:
            error = UnsupportedTransferCoding(error.hdr)  # compressed and not chunked
        malformed = ("400 Bad Request", "invalid_request", f"the request is malformed: {error}")
        return Refusal(*_REFUSALS.get(type(error), malformed), by_client=True)
    return Refusal(
        "500 Internal Server Error",
        "internal_error",
        "the server failed to handle the request: its log has the traceback",
        False,
    )
