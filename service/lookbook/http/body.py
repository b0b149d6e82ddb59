"""The body of a request. Its limits: app.py has the size, the server the time. Tests: tests/unit/test_uploads.py."""

import io
from collections.abc import Iterator

from flask import Request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import RequestEntityTooLarge

from lookbook.errors import ImageTooLarge, InvalidRequest, UnsupportedMediaType

_CHUNK = 64 * 1024


def read_body(request: Request) -> bytes:
    """The whole body; raises InvalidRequest, ImageTooLarge, UnsupportedMediaType, or BodyTimeout."""
    body = io.BytesIO()
    for chunk in read_chunks(request):
        body.write(chunk)
    if request.content_length is not None and body.tell() < request.content_length:
        raise InvalidRequest(f"the request body ended after {body.tell()} of {request.content_length} bytes")
    return body.getvalue()


def read_chunks(request: Request) -> Iterator[bytes]:
    """The body as it arrives, in chunks of up to 64 KiB; raises the errors of read_body()."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType("Content-Encoding is not supported: send the body uncompressed")
    while chunk := _read_chunk(request):
        yield chunk


def _read_chunk(request: Request) -> bytes:
    try:
        return request.stream.read(_CHUNK)
    except RequestEntityTooLarge as error:
        limit = _size(request.max_content_length or 0)
        raise ImageTooLarge(f"the request body is larger than {limit}: send a smaller image or batch") from error
    except ParseException as error:
        raise InvalidRequest(f"the chunked request body is malformed: {error}") from error


def _size(number: int) -> str:
    return f"{number / 2**20:.3g} MiB ({number:,} bytes)" if number >= 2**20 else f"{number:,} bytes"
