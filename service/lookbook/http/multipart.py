"""Multipart forms. Werkzeug's own form parser would turn a part without a file name into text.

Tests: tests/unit/test_uploads.py.
"""

import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData, State

from lookbook.errors import InvalidRequest
from lookbook.http.body import read_chunks

MAX_PARTS = 8
MAX_PART_HEADER = 16 * 1024

_PIECE = 8 * 1024

# What browsers and HTTP libraries write, unless the file name needs escapes or has other than ASCII characters.
_PLAIN_HEADER = re.compile(
    rb'Content-Disposition: form-data; name="(\w+)"; filename="([\w .()+-]*)"(?:\r\nContent-Type: [\w.+-]+/[\w.+-]+)?',
    re.IGNORECASE,
)


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
    boundary = request.mimetype_params.get("boundary", "").encode("ascii", "replace")
    if not boundary:
        raise InvalidRequest("the Content-Type header has no boundary; let your HTTP client set this header")
    chunks = read_chunks(request)
    first = next(chunks, b"")
    if len(first) == request.content_length and (form := parse_plain(first, boundary, field)):
        return form
    return parse(chain([first], chunks), boundary, field)


def parse_plain(body: bytes, boundary: bytes, field: str) -> Form | None:
    """The same form as from parse() if the body is one file with a plain header, else None.

    Nearly all bodies are. Clients choose another boundary for each body, and for each boundary the decoder compiles
    regular expressions. That takes 0.2 ms, as much as a quarter of the CPU time of a request with a small image.
    """
    delimiter = b"--" + boundary
    begin, end = delimiter + b"\r\n", b"\r\n" + delimiter + b"--\r\n"
    if not (body.startswith(begin) and body.endswith(end) and body.count(delimiter) == 2):
        return None
    header, _, data = body[len(begin) : -len(end)].partition(b"\r\n\r\n")
    match = _PLAIN_HEADER.fullmatch(header)
    if not match:
        return None
    form = Form(field)
    form.begin_part(File(match[1].decode(), match[2].decode(), Headers()))
    form.add_data(data)
    return form


def parse(chunks: Iterable[bytes], boundary: bytes, field: str) -> Form:
    """The form in a body; raises InvalidRequest."""
    decoder = _Decoder(boundary, max_parts=MAX_PARTS)
    pieces = _pieces(chunks, decoder)
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


def _pieces(chunks: Iterable[bytes], decoder: MultipartDecoder) -> Iterator[bytes]:
    """The body: data of a part in whole chunks, the rest in small pieces, because the decoder is slow to search it."""
    delimiter = b"--" + decoder.boundary
    for chunk in chunks:
        start = 0
        while start < len(chunk):
            end = start + _PIECE
            if decoder.state is State.DATA:
                found = chunk.find(delimiter, start)
                end = max(end, found if found >= 0 else len(chunk))
            yield chunk[start:end]
            start = end
