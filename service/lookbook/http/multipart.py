"""Multipart forms. Werkzeug's own form parser would turn a part without a file name into text.

Tests: tests/unit/test_uploads.py.
"""

import io
import re
from collections.abc import Iterator

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData, State

from lookbook.errors import InvalidRequest
from lookbook.http.body import read_chunks

MAX_PARTS = 8
MAX_PART_HEADER = 16 * 1024

_PIECE = 8 * 1024


class Form:
    """The parts named `field`, as (file name, data), and the names of the other parts."""

    def __init__(self, field: str) -> None:
        self._field = field
        self._open: io.BytesIO | None = None
        self._parts: list[tuple[str, io.BytesIO]] = []
        self.other_names: list[str] = []

    @property
    def files(self) -> list[tuple[str, bytes]]:
        return [(name, data.getvalue()) for name, data in self._parts]

    def begin_part(self, part: Field | File) -> None:
        """Data that follows belongs to this part."""
        self._open = None
        if part.name == self._field:
            self._open = io.BytesIO()
            file_name = part.filename if isinstance(part, File) else None
            self._parts.append((file_name or "", self._open))
        else:
            self.other_names.append(part.name or "")

    def add_data(self, data: bytes) -> None:
        if self._open is not None:
            self._open.write(data)


def read_form(request: Request, field: str) -> Form:
    """The form in the request's body; raises InvalidRequest, ImageTooLarge, or BodyTimeout."""
    boundary = request.mimetype_params.get("boundary")
    if not boundary:
        raise InvalidRequest("the Content-Type header has no boundary; let your HTTP client set this header")
    decoder = _Decoder(boundary.encode("ascii", "replace"), max_parts=MAX_PARTS)
    pieces = _pieces(request, decoder)
    form = Form(field)
    while not isinstance(event := _next_event(decoder), Epilogue):
        if isinstance(event, NeedData):
            _refuse_long_header(decoder)
            decoder.receive_data(next(pieces, None))
        elif isinstance(event, Field | File):
            form.begin_part(event)
        elif isinstance(event, Data):
            form.add_data(event.data)
    return form


class _Decoder(MultipartDecoder):
    """Also accepts file names that are not UTF-8 (U+FFFD replaces what cannot be decoded) or that contain backslashes.

    Browsers do not escape backslashes.
    """

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        text = data.decode("utf-8", "replace")
        return super()._parse_headers(re.sub(r'\\(?!["\\])', r"\\\\", text).encode())


def _next_event(decoder: MultipartDecoder) -> Event:
    try:
        return decoder.next_event()
    except (ValueError, RequestEntityTooLarge) as error:
        raise InvalidRequest(f"the multipart body is malformed: {error}") from error


def _refuse_long_header(decoder: MultipartDecoder) -> None:
    """Outside of a part's data the decoder searches its whole buffer again whenever more arrives, which is slow."""
    if len(decoder.buffer) > MAX_PART_HEADER:
        raise InvalidRequest(f"the multipart body is malformed: the header of a part exceeds {MAX_PART_HEADER} bytes")


def _pieces(request: Request, decoder: MultipartDecoder) -> Iterator[bytes]:
    """The body: data of a part in whole chunks, the rest in small pieces, because the decoder is slow to search it."""
    delimiter = b"--" + decoder.boundary
    for chunk in read_chunks(request):
        start = 0
        while start < len(chunk):
            end = start + _PIECE
            if decoder.state is State.DATA:
                found = chunk.find(delimiter, start)
                end = max(end, found if found >= 0 else len(chunk))
            yield chunk[start:end]
            start = end
