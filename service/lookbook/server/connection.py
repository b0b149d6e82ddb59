"""A client's connection: the head of its next request, the deadlines of the current one, and its end.

Nothing here waits, except for sending a response and reading a body, within their deadlines.

Tests: tests/server/test_worker.py.
"""

import socket
from enum import Enum, auto
from typing import Any

from gunicorn import http
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import TConn

from lookbook.errors import BodyTimeout
from lookbook.server.sockets import Socket, Source

HEAD_BYTES = 64 * 1024
SEND_SECONDS = 10

_HEAD_END = b"\r\n\r\n"
# Heads and small bodies arrive in one read; a thread reads the rest of a large body with less copying.
_READ_BYTES = 8 * 1024
_DISCARD_BYTES = 256 * 1024


class Head(Enum):
    """How much of a request's head has arrived."""

    PARTIAL = auto()
    COMPLETE = auto()
    TOO_LONG = auto()
    CLOSED = auto()  # the client disconnected instead


class Connection(TConn):  # type: ignore[misc]
    """A client's socket and the parser of its requests."""

    sock: Socket

    def __init__(self, cfg: Config, sock: Socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.source = Source(sock)
        self.parser = http.get_parser(cfg, self.source, client)
        self.data_ready = True
        self.in_loop = False  # whether the event loop handles the current request, for which it must not wait
        self._head = bytearray()

    def receive_head(self) -> Head:
        """Read once."""
        # Once a head is complete the rest has to wait: clients that send without a pause would fill the memory.
        if _HEAD_END not in self._head:
            try:
                data = self.sock.recv(_READ_BYTES)
            except BlockingIOError:
                return Head.PARTIAL
            except OSError:
                return Head.CLOSED
            if not data:
                return Head.CLOSED
            self._head += data
        if _HEAD_END in self._head:
            return Head.COMPLETE
        return Head.PARTIAL if len(self._head) < HEAD_BYTES else Head.TOO_LONG

    def give_head_to_parser(self) -> bytes:
        """Let the parser read the head, and whatever arrived after it, next; returns both."""
        head = bytes(self._head)
        self._head.clear()
        self.parser.unreader.unread(head)
        return head

    def allow(self, seconds: float) -> None:
        """Limit reading the body, and sending an early response such as 100 Continue, to `seconds` each."""
        self.source.allow(seconds)
        self.sock.allow(seconds)

    def begin_response(self, last: bool) -> None:
        """Announce that the connection will close if this is the `last` response, or if a body is still arriving."""
        self.sock.allow(0 if self.in_loop else SEND_SECONDS)
        self.source.allow(0)
        try:
            complete = self.parser.finish_body(max_bytes=_DISCARD_BYTES)
        except (BodyTimeout, ParseException, OSError):
            complete = False
        if last or not complete:
            self.parser.mesg.force_close()

    def next_request_began(self) -> bool:
        """Take back what the parser read beyond the current request; returns whether there is any."""
        self._head += self.parser.unreader.take_buffered()
        return bool(self._head)

    def has_data(self) -> bool:
        """Whether something has arrived that nobody has read yet."""
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def end_sending(self) -> bool:
        """Tell the client that nothing more will come; false if it has disconnected."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        return True

    def discard(self) -> bool:
        """Read once and forget it; false if the client has disconnected."""
        try:
            return bool(self.sock.recv(HEAD_BYTES))
        except BlockingIOError:
            return True
        except OSError:
            return False
