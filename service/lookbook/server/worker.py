"""gunicorn's threaded worker, made safe against slow clients.

gthread (gunicorn 27.0) reads a request's head in a thread, so as many slow clients as there are
threads stop it; and it closes connections politely in its only event loop, where one client that
does not hang up holds all others for two seconds. Here both wait in the event loop without
blocking it, a body must arrive and an answer be read within a time, liveness is answered by the loop
itself, and readiness and metrics have threads of their own.
"""

import errno
import fcntl
import json
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn import http
from gunicorn.config import Config
from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import TConn, ThreadWorker

from lookbook.errors import BodyTimeout
from lookbook.server.affinity import keep_together

HEAD_SECONDS = 10
HEAD_BYTES = 64 * 1024
LINGER_SECONDS = 2
SEND_SECONDS = 10

HEAD_END = b"\r\n\r\n"
LIVENESS = b"GET /livez "
PROBES = (b"GET /readyz ", b"GET /metrics ", b"GET /v2/health/")
PROBE_THREADS = 2
_OTHER_FILES = 100

# Heads and small bodies come in one read; a thread reads the rest of a large one with less copying.
_READ = 8 * 1024
_DRAIN_BYTES = 256 * 1024

# What gunicorn's parser refuses with another status than 400.
_REFUSALS = {
    LimitRequestLine: ("414 URI Too Long", "uri_too_long"),
    ExpectationFailed: ("417 Expectation Failed", "expectation_failed"),
    LimitRequestHeaders: ("431 Request Header Fields Too Large", "head_too_large"),
    UnsupportedTransferCoding: ("501 Not Implemented", "not_implemented"),
}


class Socket(socket.socket):
    """A client's: what is sent has to be read before a deadline, all of it. Never blocks without one."""

    _deadline = 0.0

    def setblocking(self, _: bool) -> None:
        """gunicorn changes the mode for each request, with a call to the system."""

    def allow(self, seconds: float) -> None:
        """From now on, sending may take so long altogether; 0: what the system's buffer takes at once."""
        self._deadline = time.monotonic() + seconds

    def send(self, data: Any, flags: int = 0) -> int:
        self.sendall(data, flags)
        return len(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Raises BrokenPipeError, which gunicorn takes for a client that went away."""
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
            raise BrokenPipeError(errno.EPIPE, "the answer was not read in time") from None
        finally:
            self.settimeout(0)


class Source:
    """What the parser reads a request from: a socket, until a deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._deadline = 0.0

    def allow(self, seconds: float) -> None:
        """From now on, reading may take so long altogether."""
        self._deadline = time.monotonic() + seconds

    def recv(self, size: int) -> bytes:
        """Raises BodyTimeout, which passes through Werkzeug's stream where an OSError would not."""
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


class Connection(TConn):  # type: ignore[misc]
    """A connection and as much of its next request's head as has come."""

    sock: Socket

    def __init__(self, cfg: Config, sock: Socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.head = bytearray()
        self.in_loop = False
        self.source = Source(sock)
        self.parser = http.get_parser(cfg, self.source, client)
        self.data_ready = True


class Worker(ThreadWorker):  # type: ignore[misc]
    """Hands a connection to a thread once a whole head is there, and takes it back to close it."""

    wsgi: Callable[..., Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lingering: deque[Connection] = deque()
        self.serving = threading.local()

    def init_process(self) -> None:
        self._make_room()
        if self.app.settings.max_inferences == 1:
            keep_together(self.age)
        super().init_process()

    def _make_room(self) -> None:
        """Let the system's table of open files grow now, while there is one thread.

        Later accept() would wait until every CPU has seen the new one, and the loop with it: for 100 ms and more.
        Source: expand_fdtable() in Linux's fs/file.c.
        """
        highest = min(self.cfg.worker_connections + _OTHER_FILES, os.sysconf("SC_OPEN_MAX") - 1)
        os.close(fcntl.fcntl(self.tmp.fileno(), fcntl.F_DUPFD, highest))

    def get_thread_pool(self) -> ThreadPoolExecutor:
        self.probes = ThreadPoolExecutor(PROBE_THREADS)
        return super().get_thread_pool()  # type: ignore[no-any-return]

    def accept(self, listener: socket.socket) -> None:
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        own = Socket(sock.family, sock.type, sock.proto, sock.detach())
        own.settimeout(0)
        self._await_head(Connection(self.cfg, own, client, listener.getsockname()))

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """A kept-alive connection speaks again."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_head(conn)

    def on_pending_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """More of a head has come."""
        if self._read_head(conn):
            self.poller.unregister(client)
            self.pending_conns.remove(conn)

    def finish_request(self, conn: Connection, future: "Future[Any]") -> None:
        """A thread is done with a request; true keeps the connection for the next."""
        if future.cancelled() or not future.result():
            self._linger(conn)
            return
        conn.head += conn.parser.unreader.take_buffered()
        if conn.head:
            self._await_head(conn)
            return
        super().finish_request(conn, future)

    def murder_pending(self) -> None:
        super().murder_pending()
        while self.lingering and self.lingering[0].timeout <= time.monotonic():
            self._drop(self.lingering[0])

    def load_wsgi(self) -> None:
        super().load_wsgi()
        app = self.wsgi
        self.wsgi = lambda environ, start: app(environ, partial(self._start_response, start))

    def handle(self, conn: Connection) -> Any:
        self.serving.conn = conn
        return super().handle(conn)

    def handle_error(self, _: Any, client: Socket, addr: Any, exc: BaseException) -> None:
        """Answer what gunicorn itself refuses in the form that app.py gives its own refusals."""
        status, code, message = _refusal(exc)
        if code == "internal_error":
            self.log.error("Error handling a request", exc_info=exc)
        else:
            self.log.warning("Refused a request from %s: %s", addr[0], message)
        body = json.dumps({"error": {"code": code, "message": message}}).encode()
        head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        client.allow(0)
        with suppress(OSError):
            client.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def _start_response(self, start: Callable[..., Any], *arguments: Any) -> Any:
        """Announce that the connection closes where the app left a body unread that is still on its way."""
        conn: Connection = self.serving.conn
        conn.sock.allow(0 if conn.in_loop else SEND_SECONDS)
        conn.source.allow(0)
        try:
            drained = conn.parser.finish_body(max_bytes=_DRAIN_BYTES)
        except (BodyTimeout, ParseException, OSError):
            drained = False
        if not drained:
            conn.parser.mesg.force_close()
        return start(*arguments)

    def _await_head(self, conn: Connection) -> None:
        if self._read_head(conn):
            return
        conn.timeout = time.monotonic() + HEAD_SECONDS
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _read_head(self, conn: Connection) -> bool:
        """Read what is there; whether the connection has left the event loop, to a thread or for good."""
        # With a whole head at hand the rest waits, or clients that send on and on would fill the memory.
        if HEAD_END not in conn.head:
            try:
                data = conn.sock.recv(_READ)
            except BlockingIOError:
                return False
            except OSError:
                data = b""
            if not data:
                self.nr_conns -= 1
                conn.close()
                return True
            conn.head += data
        if HEAD_END in conn.head:
            self._dispatch(conn)
            return True
        if len(conn.head) < HEAD_BYTES:
            return False
        self.handle_error(None, conn.sock, conn.client, LimitRequestHeaders(f"no end within {HEAD_BYTES} bytes"))
        self.method_queue.defer(self._linger, conn)
        return True

    def _dispatch(self, conn: Connection) -> None:
        """Answer the request whose head is there: in this loop where that is liveness, else in a thread."""
        head = bytes(conn.head)
        conn.head.clear()
        conn.parser.unreader.unread(head)
        conn.in_loop = head.startswith(LIVENESS)
        patience = 0 if conn.in_loop else self.app.settings.body_timeout
        conn.source.allow(patience)
        conn.sock.allow(patience)
        if conn.in_loop:
            future: Future[Any] = Future()
            future.set_result(self.handle(conn))
            self.method_queue.defer(self.finish_request, conn, future)
            return
        pool = self.probes if head.startswith(PROBES) else self.tpool
        future = pool.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _linger(self, conn: Connection) -> None:
        """Close as RFC 9112 section 9.6 says, so that an answer to half a request is not lost."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.nr_conns -= 1
            conn.close()
            return
        conn.timeout = time.monotonic() + LINGER_SECONDS
        self.lingering.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_lingering_readable, conn))

    def _on_lingering_readable(self, conn: Connection, client: socket.socket) -> None:
        try:
            if client.recv(HEAD_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # reset by the client: as good as closed
        self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        self.poller.unregister(conn.sock)
        self.lingering.remove(conn)
        self.nr_conns -= 1
        conn.close()


def _refusal(error: BaseException) -> tuple[str, str, str]:
    """Status, code and message of what gunicorn refuses or of what failed."""
    if isinstance(error, ParseException) and not isinstance(error, InvalidResponseHeader | InvalidResponseHeaderName):
        return *_REFUSALS.get(type(error), ("400 Bad Request", "invalid_request")), str(error)
    return "500 Internal Server Error", "internal_error", "the request could not be handled"
