"""The picture in a request's body."""

import io
import re
from collections.abc import Iterator

from flask import Request
from gunicorn.http.errors import ParseException
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData, State

from lookbook.errors import ImageTooLarge, InvalidRequest, UnsupportedMediaType
from lookbook.pipeline import Upload

FIELD = "image"
MAX_PARTS = 8
MAX_NAME = 1024
MAX_PART_HEADER = 16 * 1024

_CHUNK = 64 * 1024
_PIECE = 8 * 1024
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


class _Decoder(MultipartDecoder):
    """Takes names in other encodings than UTF-8, too; what cannot be read of them is U+FFFD.

    And names with a backslash, which browsers do not double.
    """

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        text = data.decode("utf-8", "replace")
        return super()._parse_headers(re.sub(r'\\(?!["\\])', r"\\\\", text).encode())


def read_upload(request: Request, raw: bool) -> Upload:
    """The one picture of a multipart body or, where `raw`, of an image/* body.

    Raises InvalidRequest, ImageTooLarge, UnsupportedMediaType or BodyTimeout.
    """
    if request.mimetype == "multipart/form-data":
        return _read_multipart(request)
    if raw and request.mimetype.startswith("image/"):
        return Upload(read_body(request), "")
    wanted = "multipart/form-data" + (" or image/*" if raw else "")
    raise UnsupportedMediaType(f"the body must be {wanted}, not {request.mimetype or 'without a type'}")


def read_key(request: Request) -> str | None:
    """The Idempotency-Key, None where there is none; raises InvalidRequest."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidRequest("Idempotency-Key must be 1 to 255 printable ASCII characters")
    return key


def read_body(request: Request) -> bytes:
    """The whole body; raises InvalidRequest, ImageTooLarge or BodyTimeout."""
    body = io.BytesIO()
    while chunk := _read_chunk(request):
        body.write(chunk)
    if request.content_length is not None and body.tell() < request.content_length:
        raise InvalidRequest(f"the body ended after {body.tell()} of {request.content_length} bytes")
    return body.getvalue()


def _read_chunk(request: Request) -> bytes:
    try:
        return request.stream.read(_CHUNK)
    except RequestEntityTooLarge as error:
        raise ImageTooLarge(f"the request body is larger than {request.max_content_length} bytes") from error
    except ParseException as error:
        raise InvalidRequest(f"the chunked body is malformed: {error}") from error


def _pieces(request: Request, decoder: MultipartDecoder) -> Iterator[bytes]:
    """The body: what surely is a part's data at once, the rest in pieces, for in those the decoder's search is slow."""
    delimiter = b"--" + decoder.boundary
    while chunk := _read_chunk(request):
        start = 0
        while start < len(chunk):
            end = start + _PIECE
            if decoder.state is State.DATA:
                found = chunk.find(delimiter, start)
                end = max(end, found if found >= 0 else len(chunk))
            yield chunk[start:end]
            start = end


def _read_multipart(request: Request) -> Upload:
    """Werkzeug's own form parser would turn a part without a file name into text."""
    boundary = request.mimetype_params.get("boundary")
    if not boundary:
        raise InvalidRequest("the Content-Type names no boundary; let your HTTP client set this header")
    decoder = _Decoder(boundary.encode("ascii", "replace"), max_parts=MAX_PARTS)
    pieces = _pieces(request, decoder)
    pictures: list[tuple[str, io.BytesIO]] = []
    others: list[str] = []
    part: io.BytesIO | None = None
    while True:
        try:
            event: Event = decoder.next_event()
        except (ValueError, RequestEntityTooLarge) as error:
            raise InvalidRequest(f"the multipart body is malformed: {error}") from error
        if isinstance(event, NeedData):
            # Only what is outside of a part's data waits here, and searching it again and again is slow.
            if len(decoder.buffer) > MAX_PART_HEADER:
                raise InvalidRequest(f"the multipart body is malformed: a header over {MAX_PART_HEADER} bytes")
            decoder.receive_data(next(pieces, None))
        elif isinstance(event, Field | File):
            part = None
            if event.name == FIELD:
                part = io.BytesIO()
                pictures.append((event.filename or "" if isinstance(event, File) else "", part))
            else:
                others.append(event.name or "")
        elif isinstance(event, Data) and part is not None:
            part.write(event.data)
        elif isinstance(event, Epilogue):
            break
    if len(pictures) > 1:
        raise InvalidRequest(f"{len(pictures)} parts named '{FIELD}'; send one picture a request")
    if not pictures:
        seen = ", ".join(repr(name[:100]) for name in others) or "none"
        raise InvalidRequest(f"no part named '{FIELD}' in the form; parts found: {seen}")
    name, body = pictures[0]
    if len(name) > MAX_NAME:
        raise InvalidRequest(f"the file name is longer than {MAX_NAME} characters")
    return Upload(body.getvalue(), name.replace("\0", "\ufffd"))
