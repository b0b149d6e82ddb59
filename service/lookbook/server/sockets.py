"""A client's socket, with deadlines that the client's pace cannot stretch.

Tests: tests/server/test_worker.py.
"""

import errno
import socket
import time
from contextlib import suppress
from typing import Any

from lookbook.errors import BodyTimeout


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
    """What gunicorn's parser reads requests from: a socket, until a deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._deadline = 0.0

    def allow(self, seconds: float) -> None:
        """Limit all reading from now on to `seconds` in total; 0 reads only what has already arrived."""
        self._deadline = time.monotonic() + seconds

    def recv(self, size: int) -> bytes:
        """Raises BodyTimeout, which passes through Werkzeug's stream, unlike an OSError."""
        with suppress(BlockingIOError):
            return self._sock.recv(size)
        left = self._deadline - time.monotonic()
        try:
            self._sock.settimeout(max(left, 0))
            return self._sock.recv(size)
        except (TimeoutError, BlockingIOError):
            raise BodyTimeout("the request body did not arrive in time") from None
        finally:
            self._sock.settimeout(0)
