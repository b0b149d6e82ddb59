"""The body of a request while it arrives: what has arrived, whether that is all, and how long the rest may take.

Tests: tests/unit/test_incoming.py, tests/server/test_slow_uploads.py.
"""

import re
import time

from lookbook.errors import RequestError
from lookbook.server.buffer import Buffer

HEAD_END = b"\r\n\r\n"
_MAX_PIECE = 64 * 1024
_FIELDS = re.compile(rb"\r\n(content-length|transfer-encoding|expect):[ \t]*([^\r\n]*)", re.IGNORECASE)
_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")


class BodyIncomplete(BaseException):
    """The application reads a body that is not complete yet; it has to handle the request again when it is.

    Not an Exception, so that nothing on the way turns it into a response.
    """


class IncomingBody:
    """A body of at most `limit` bytes; `head` is what has arrived: the request's head and perhaps more."""

    def __init__(self, head: bytes, limit: int) -> None:
        self.began = time.monotonic()
        self.received = 0  # bytes
        self.buffer = Buffer()  # without what is in `head`
        self.held = 0  # bytes of memory, until the request ends
        self.failure: RequestError | None = None
        self.complete = True
        self.ended = False  # whether the client has stopped sending
        self.checked = False  # whether the application has had the chance to refuse the request
        self.expects_continue = False
        self._limit = limit
        self._missing = 0
        self._chunks: _Chunks | None = None
        # Nothing reads the body of these.
        if not head.startswith((b"GET ", b"HEAD ")):
            self._begin(*head.split(HEAD_END, 1))

    @property
    def wanted(self) -> int:
        """How many bytes to read next."""
        return _MAX_PIECE if self._chunks else min(self._missing, _MAX_PIECE)

    def add(self, data: bytes) -> None:
        """The client has sent this; nothing means that it has stopped."""
        if data:
            self.buffer.add(data)
            self.held += len(data)
            self._count(data)
        else:
            self.ended = self.complete = True

    def fail(self, failure: RequestError) -> None:
        """Give up on the body: the application gets the failure when it reads."""
        self.failure = failure
        self.buffer.clear()
        self.held = 0

    def seconds(self) -> float:
        """Seconds since the body began to arrive."""
        return time.monotonic() - self.began

    def _begin(self, head: bytes, first: bytes) -> None:
        fields = [(name.lower(), value.strip().lower()) for name, value in _FIELDS.findall(head)]
        self.expects_continue = (b"expect", b"100-continue") in fields and b" HTTP/1.1\r\n" in head
        framing = [field for field in fields if field[0] != b"expect"]
        # The parser refuses everything else.
        if len(framing) != 1:
            return
        ((name, value),) = framing
        if name == b"content-length" and value.isdigit() and len(value) < 20:
            # A body that is too large is refused before it is read.
            self._missing = int(value) if int(value) <= self._limit else 0
        elif name == b"transfer-encoding" and value.endswith(b"chunked"):
            self._chunks = _Chunks()
        self._count(first)

    def _count(self, data: bytes) -> None:
        self.received += len(data)
        if self._chunks:
            self._chunks.add(data)
            self.complete = self._chunks.ended or self._chunks.payload > self._limit
        else:
            self._missing -= len(data)
            self.complete = self._missing <= 0


class _Chunks:
    """Finds the end of a chunked body (RFC 9112, section 7.1), or where the parser will refuse it as malformed."""

    def __init__(self) -> None:
        self.ended = False
        self.payload = 0
        self._skip = 0  # bytes of a chunk, and of the line end after it
        self._line = b""  # the beginning of the next line
        self._in_trailers = False

    def add(self, data: bytes) -> None:
        position = 0
        while position < len(data) and not self.ended:
            if self._skip:
                step = min(self._skip, len(data) - position)
                self._skip -= step
                position += step
                continue
            end = data.find(b"\n", position)
            self._line += data[position : end + 1 if end >= 0 else len(data)]
            if end < 0:
                self.ended = len(self._line) > _MAX_PIECE
                return
            position = end + 1
            self._end_line()

    def _end_line(self) -> None:
        line, self._line = self._line.rstrip(b"\r\n"), b""
        if self._in_trailers:
            self.ended = not line
            return
        match = _SIZE.match(line)
        size = int(match[0], 16) if match else 0
        self.ended = match is None
        self._in_trailers = size == 0
        self.payload += size
        self._skip = size + 2 if size else 0
