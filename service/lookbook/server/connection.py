"""A client's connection: the head and the body of its request, the deadlines of the response, and its end.

Nothing here waits, except for sending a response within its deadline.

Tests: tests/server/test_worker.py.
"""

import socket
from enum import Enum, auto
from typing import Any

from gunicorn import http
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import TConn

from lookbook.errors import RequestError
from lookbook.server.incoming import HEAD_END, BodyIncomplete, IncomingBody
from lookbook.server.sockets import Socket, Source

HEAD_BYTES = 64 * 1024
SEND_SECONDS = 10

# Heads and small bodies arrive in one read.
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
    body: IncomingBody

    def __init__(self, cfg: Config, sock: Socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.source = Source(sock)
        self.parser = http.get_parser(cfg, self.source, client)
        self.data_ready = True
        self.in_loop = False  # whether the event loop handles the current request, for which it must not wait
        self._head = bytearray()
        self._request = b""

    def receive_head(self) -> Head:
        """Read once."""
        # Once a head is complete the rest has to wait: clients that send without a pause would fill the memory.
        if HEAD_END not in self._head:
            try:
                data = self.sock.recv(_READ_BYTES)
            except BlockingIOError:
                return Head.PARTIAL
            except OSError:
                return Head.CLOSED
            if not data:
                return Head.CLOSED
            self._head += data
        if HEAD_END in self._head:
            return Head.COMPLETE
        return Head.PARTIAL if len(self._head) < HEAD_BYTES else Head.TOO_LONG

    def begin_request(self, most: int) -> bytes:
        """The head and what has arrived of the body, which may have at most `most` bytes."""
        self._request = bytes(self._head)
        self._head.clear()
        self.body = self.source.body = IncomingBody(self._request, most)
        return self._request

    def give_request_to_parser(self) -> bytes:
        """Make the parser read the request from its beginning next; returns what begin_request() did."""
        if self.body.checked:
            self.parser = http.get_parser(self.cfg, self.source, self.client)
        self.parser.unreader.unread(self._request)
        return self._request

    def receive_body(self) -> int:
        """Read once; the number of bytes that were read. Raises OSError if the client has disconnected."""
        try:
            data = self.sock.recv(self.body.wanted)
        except BlockingIOError:
            return 0
        self.body.add(data)
        return len(data)

    def send_continue(self) -> None:
        """Tell the client to send the body. Raises OSError if it has disconnected."""
        self.body.expects_continue = False
        self.sock.allow(0)
        self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def begin_response(self, last: bool) -> None:
        """Announce that the connection will close if this is the `last` response, or if a body is still arriving."""
        self.sock.allow(0 if self.in_loop else SEND_SECONDS)
        try:
            complete = self.parser.finish_body(max_bytes=_DISCARD_BYTES)
        except (BodyIncomplete, RequestError, ParseException, OSError):
            complete = False
        if last or not complete:
            self.parser.mesg.force_close()

    def next_request_began(self) -> bool:
        """Forget the current request; take back what was read beyond it, and return whether there is any."""
        self._request = b""
        self._head += self.parser.unreader.take_buffered()
        while self.body.buffer:
            self._head += self.body.buffer.take(HEAD_BYTES)
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
