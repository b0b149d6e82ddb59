"""A client's socket, with deadlines that the client's pace cannot stretch.

Tests: tests/server/test_worker.py.
"""

import errno
import socket
import time
from typing import Any

from lookbook.errors import BodyTimeout
from lookbook.server.incoming import BodyIncomplete, IncomingBody

# As much as the application reads at once.
_PIECE_BYTES = 64 * 1024


class Socket(socket.socket):
    """Sends everything before a deadline. Never waits otherwise."""

    _deadline = 0.0

    @classmethod
    def take_over(cls, sock: socket.socket) -> "Socket":
        """The same connection; `sock` is detached from it."""
        own = cls(sock.family, sock.type, sock.proto, sock.detach())
        own.settimeout(0)
        return own

    def setblocking(self, _: bool) -> None:
        """Do nothing: gunicorn changes the mode for each request, which costs a system call."""

    def allow(self, seconds: float) -> None:
        """Limit all sending from now on to `seconds` in total; 0 sends only what fits into the system's buffer."""
        self._deadline = time.monotonic() + seconds

    def send(self, data: Any, flags: int = 0) -> int:
        self.sendall(data, flags)
        return len(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Raises BrokenPipeError, which gunicorn handles as a client that has disconnected."""
        try:
            sent = super().send(data, flags)  # nearly always all of it
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._send_rest(memoryview(data)[sent:], flags)

    def _send_rest(self, data: memoryview, flags: int) -> None:
        try:
            self.settimeout(max(self._deadline - time.monotonic(), 0))
            super().sendall(data, flags)
        except (TimeoutError, BlockingIOError):
            raise BrokenPipeError(errno.EPIPE, "the client did not read the response in time") from None
        finally:
            self.settimeout(0)


class Source:
    """What gunicorn's parser reads requests from. Never waits: what it reads has arrived, or the request fails."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.body: IncomingBody | None = None

    def recv(self, size: int) -> bytes:
        """Raises BodyIncomplete, or a RequestError, which passes through Werkzeug's stream, unlike an OSError."""
        body = self.body
        if body and body.buffer and body.complete:
            # gunicorn copies the unused rest of a piece again and again.
            return body.buffer.take(min(size, _PIECE_BYTES))
        if body and body.failure:
            raise body.failure
        if body and not body.complete:
            raise BodyIncomplete
        if body and body.ended:
            return b""
        try:
            return self._sock.recv(size)
        except BlockingIOError:
            raise BodyTimeout("the request body did not arrive in time") from None
