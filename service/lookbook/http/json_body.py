"""A JSON object as the body of a request. Tests: tests/unit/test_ground_truths.py."""

import json
import unicodedata
from collections.abc import Collection
from typing import Any, NoReturn

from flask import Request

from lookbook.errors import InvalidRequest, UnsupportedMediaType
from lookbook.http.body import read_body

MAX_TEXT = 100

_MAX_BYTES = 16 * 1024
_REFUSED = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, line and paragraph separators


def read_json(request: Request, names: Collection[str], max_bytes: int = _MAX_BYTES) -> dict[str, Any]:
    """The object, which has no members other than `names`.

    Raises InvalidRequest, UnsupportedMediaType, ImageTooLarge, or BodyTimeout.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType(f"the Content-Type must be application/json; it is {request.mimetype or 'missing'}")
    if (request.content_length or 0) > max_bytes or len(body := read_body(request)) > max_bytes:
        raise InvalidRequest(f"the JSON is longer than {max_bytes} bytes")
    try:
        found = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidRequest("the body must be a JSON object")
    for name in found:
        if name not in names:
            raise InvalidRequest(f"unknown member {name[:100]!r}; the members are {', '.join(sorted(names))}")
    return found


def read_text(what: str, value: object, minimum: int = 1) -> str:
    """The value, if it is a short text that people can read. Raises InvalidRequest."""
    if not isinstance(value, str) or not minimum <= len(value) <= MAX_TEXT:
        raise InvalidRequest(f"{what} must be a string of {minimum} to {MAX_TEXT} characters")
    if any(unicodedata.category(character) in _REFUSED for character in value):
        raise InvalidRequest(f"{what} must not have control characters")
    if minimum and not value.strip():
        raise InvalidRequest(f"{what} must not be blank")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")
