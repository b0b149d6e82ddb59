"""gunicorn's threaded worker, made safe against slow clients.

gthread (gunicorn 27.0) reads the head of a request in a thread, so that as many slow clients as there are threads
block it. It also closes connections politely in its only event loop, where one client that does not hang up blocks
all others for two seconds. Here both wait in the event loop without blocking it; a body must arrive and a response be
read within a time limit; the event loop itself answers liveness; readiness and metrics have threads of their own.

Tests: tests/server/test_worker.py; tests/unit/test_worker_overrides.py for OVERRIDDEN and USED.
"""

import fcntl
import os
import selectors
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.workers.gthread import ThreadWorker

from lookbook.server.affinity import keep_together
from lookbook.server.connection import HEAD_BYTES, Connection, Head
from lookbook.server.refusals import refusal
from lookbook.server.sockets import Socket

# The methods of gunicorn that Worker overrides, and why.
OVERRIDDEN = {
    "ThreadWorker.init_process": "prepare the process while it has one thread",
    "ThreadWorker.get_thread_pool": "give probes threads of their own",
    "ThreadWorker.accept": "wait for the head of the first request in the event loop",
    "ThreadWorker.on_client_socket_readable": "wait for the head of the next request in the event loop",
    "ThreadWorker.on_pending_socket_readable": "read heads in the event loop",
    "ThreadWorker.finish_request": "close connections without blocking the event loop",
    "ThreadWorker.murder_keepalived": "look once more for a request before an idle connection is closed",
    "ThreadWorker.murder_pending": "close lingering connections in time, and write what waits for the log",
    "ThreadWorker.load_wsgi": "learn when the application starts a response",
    "ThreadWorker.handle": "know the connection of the response that the application starts",
    "ThreadWorker.handle_error": "send errors in the application's own form",
}
# What else Worker and Connection take from gunicorn, and what for.
USED = {
    "ThreadWorker.age": "choose a CPU by the number of the worker",
    "ThreadWorker.alive": "know whether the worker is shutting down",
    "ThreadWorker.app": "read the settings",
    "ThreadWorker.cfg": "read gunicorn's options",
    "ThreadWorker.keepalived_conns": "take a connection out when it becomes readable",
    "ThreadWorker.log": "log errors",
    "ThreadWorker.method_queue": "return to the event loop from a thread",
    "ThreadWorker.nr_conns": "count connections, for gunicorn's limit",
    "ThreadWorker.pending_conns": "have gunicorn close connections whose head does not arrive in time",
    "ThreadWorker.poller": "learn when a socket becomes readable",
    "ThreadWorker.tmp": "have an open file to grow the table of open files with",
    "ThreadWorker.tpool": "handle requests in threads",
    "TConn.client": "log the client's address",
    "TConn.close": "close a connection at once",
    "TConn.data_ready": "keep gunicorn from waiting for a head",
    "TConn.init": "keep the parser that Connection has made",
    "TConn.parser": "parse requests from a source with a deadline",
    "TConn.sock": "read and write",
    "TConn.timeout": "say when gunicorn closes a pending connection",
    "Parser.finish_body": "discard a body that the application did not read",
    "Parser.mesg": "know the current request",
    "Parser.unreader": "reach what was read ahead",
    "Unreader.take_buffered": "take back what was read of the next request",
    "Unreader.unread": "hand over a head that the event loop read",
    "Request.force_close": "announce that the connection closes",
}

HEAD_SECONDS = 10
LINGER_SECONDS = 2

LIVENESS = b"GET /livez "
PROBES = (b"GET /readyz ", b"GET /metrics ", b"GET /v2/health/")
PROBE_THREADS = 2
_OTHER_FILES = 100


class Worker(ThreadWorker):  # type: ignore[misc]
    """Hands a connection to a thread once a complete head has arrived, and takes it back to close it."""

    wsgi: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.born = time.monotonic()
        self.lingering: deque[Connection] = deque()
        self.serving = threading.local()

    def init_process(self) -> None:
        self._grow_file_table()
        if self.app.settings.max_inferences == 1:
            keep_together(self.age)
        super().init_process()

    def _grow_file_table(self) -> None:
        """Let the system's table of open files grow now, while there is one thread.

        Later, accept() would wait until every CPU has seen the new table, and the event loop with it: 100 ms or more.
        Source: expand_fdtable() in Linux's fs/file.c.
        """
        highest = min(self.cfg.worker_connections + _OTHER_FILES, os.sysconf("SC_OPEN_MAX") - 1)
        os.close(fcntl.fcntl(self.tmp.fileno(), fcntl.F_DUPFD, highest))

    def get_thread_pool(self) -> ThreadPoolExecutor:
        self.probes = ThreadPoolExecutor(PROBE_THREADS)
        return super().get_thread_pool()  # type: ignore[no-any-return]

    def load_wsgi(self) -> None:
        super().load_wsgi()
        app = self.wsgi
        self.components = app.extensions["lookbook"]
        self.wsgi = lambda environ, start: app(environ, partial(self._start_response, start))

    def accept(self, listener: socket.socket) -> None:
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        # A socket for IPv6 and IPv4 shows IPv4 addresses with this prefix.
        client = (client[0].removeprefix("::ffff:"), *client[1:])
        self._await_head(Connection(self.cfg, Socket.take_over(sock), client, listener.getsockname()))

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """A kept-alive connection begins another request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_head(conn)

    def on_pending_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """More of a head has arrived."""
        if self._receive_head(conn):
            self.poller.unregister(client)
            self.pending_conns.remove(conn)

    def finish_request(self, conn: Connection, future: "Future[Any]") -> None:
        """A request has been handled; the future's result says whether the connection stays open for another."""
        if future.cancelled() or not future.result():
            self._linger(conn)
        elif conn.next_request_began():
            self._await_head(conn)
        else:
            super().finish_request(conn, future)

    def murder_keepalived(self, force: bool = False) -> None:
        while self.keepalived_conns and (force or self.keepalived_conns[0].timeout <= time.monotonic()):
            conn = self.keepalived_conns[0]
            if not force and conn.has_data():
                self.on_client_socket_readable(conn, conn.sock)
            else:
                self.keepalived_conns.popleft()
                self.poller.unregister(conn.sock)
                self._close(conn)

    def murder_pending(self) -> None:
        """Called after all events, at least every second."""
        super().murder_pending()
        sys.stderr.flush()
        while self.lingering and self.lingering[0].timeout <= time.monotonic():
            self._end_lingering(self.lingering[0])

    def handle(self, conn: Connection) -> Any:
        self.serving.conn = conn
        return super().handle(conn)

    def handle_error(self, _: Any, client: Socket, addr: Any, exc: BaseException) -> None:
        found = refusal(exc)
        if found.by_client:
            self.log.warning("rejected a request from %s: %s", addr[0], found.message)
        else:
            self.log.error("failed to handle a request", exc_info=exc)
        client.allow(0)
        with suppress(OSError):
            client.sendall(found.encode())

    def _start_response(self, start: Callable[..., Any], *arguments: Any) -> Any:
        # Clients of a server that is not ready reach another one with their next connection.
        self.serving.conn.begin_response(last=not (self.alive and self.components.ready))
        return start(*arguments)

    def _await_head(self, conn: Connection) -> None:
        if not self._receive_head(conn):
            self._watch(conn, self.pending_conns, HEAD_SECONDS, self.on_pending_socket_readable)

    def _receive_head(self, conn: Connection) -> bool:
        """Read what has arrived; false if the head is still incomplete, else the connection has been passed on."""
        head = conn.receive_head()
        if head is Head.PARTIAL:
            return False
        if head is Head.COMPLETE:
            self._dispatch(conn)
        elif head is Head.CLOSED:
            self._close(conn)
        else:
            self.handle_error(
                None, conn.sock, conn.client, LimitRequestHeaders(f"the headers do not end within {HEAD_BYTES} bytes")
            )
            self.method_queue.defer(self._linger, conn)
        return True

    def _dispatch(self, conn: Connection) -> None:
        """Handle the request whose head has arrived: liveness in this loop, everything else in a thread."""
        head = conn.give_head_to_parser()
        conn.in_loop = head.startswith(LIVENESS)
        if conn.in_loop:
            conn.allow(0)
            future: Future[Any] = Future()
            future.set_result(self.handle(conn))
            self.method_queue.defer(self.finish_request, conn, future)
            return
        conn.allow(self.app.settings.body_timeout)
        pool = self.probes if head.startswith(PROBES) else self.tpool
        future = pool.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _linger(self, conn: Connection) -> None:
        """Close as RFC 9112, section 9.6, asks, so that a client still sending its request gets the response."""
        if conn.end_sending():
            self._watch(conn, self.lingering, LINGER_SECONDS, self._on_lingering_socket_readable)
        else:
            self._close(conn)

    def _on_lingering_socket_readable(self, conn: Connection, _: socket.socket) -> None:
        if not conn.discard():
            self._end_lingering(conn)

    def _end_lingering(self, conn: Connection) -> None:
        self.poller.unregister(conn.sock)
        self.lingering.remove(conn)
        self._close(conn)

    def _watch(
        self, conn: Connection, waiting: deque[Connection], seconds: float, readable: Callable[..., None]
    ) -> None:
        """Call `readable` whenever the client sends something; the connection is closed after `seconds`."""
        conn.timeout = time.monotonic() + seconds
        waiting.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(readable, conn))

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()
