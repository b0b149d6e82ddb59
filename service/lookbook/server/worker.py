"""gunicorn's threaded worker, made safe against slow clients.

gthread (gunicorn 27.0) reads a request in a thread, so that as many slow clients as there are threads block it. It also
closes connections politely in its only event loop, where one client that does not hang up blocks all others for two
seconds. Here the event loop waits for heads, bodies and ends without being blocked, and a thread gets a request when
all of it has arrived; a response must be read within a time limit; the event loop itself answers liveness; readiness
and metrics have threads of their own.

Tests: tests/server/test_worker.py, tests/server/test_slow_uploads.py; tests/unit/test_worker_overrides.py for
OVERRIDDEN and USED.
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

from lookbook.errors import Busy, RequestError
from lookbook.http import environ as environ_keys
from lookbook.server.affinity import keep_together
from lookbook.server.connection import HEAD_BYTES, Connection, Head
from lookbook.server.incoming import BodyIncomplete
from lookbook.server.refusals import refusal
from lookbook.server.sockets import Socket
from lookbook.server.uploads import Uploads

# The methods of gunicorn that Worker overrides, and why.
OVERRIDDEN = {
    "ThreadWorker.init_process": "prepare the process while it has one thread",
    "ThreadWorker.get_thread_pool": "give probes threads of their own",
    "ThreadWorker.accept": "wait for the head of the first request in the event loop",
    "ThreadWorker.on_client_socket_readable": "wait for the head of the next request in the event loop",
    "ThreadWorker.on_pending_socket_readable": "read heads in the event loop",
    "ThreadWorker.finish_request": "close connections without blocking the event loop",
    "ThreadWorker.murder_keepalived": "look once more for a request before an idle connection is closed",
    "ThreadWorker.murder_pending": "end what takes too long, and write what waits for the log",
    "ThreadWorker.wait_for_and_dispatch_events": "look often while bodies arrive",
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
    "Request._expected_100_continue": "ask for the body only when the application wants it",
    "Request.force_close": "announce that the connection closes",
    "Request.must_close": "know that the body is compressed",
}

HEAD_SECONDS = 10
LINGER_SECONDS = 2
# A body that takes longer than this to arrive is collected only if the application does not refuse the request.
CHECK_SECONDS = 0.05

LIVENESS = b"GET /livez "
PROBES = (b"GET /readyz ", b"GET /metrics ", b"GET /v2/health/")
PROBE_THREADS = 2
_OTHER_FILES = 100
# What handle() returns if the application wants a body that is still arriving.
INCOMPLETE = object()


class Worker(ThreadWorker):  # type: ignore[misc]
    """Hands a connection to a thread once a complete head has arrived, and takes it back to close it."""

    wsgi: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.born = time.monotonic()
        self.lingering: deque[Connection] = deque()
        self._next_look = 0.0
        self.serving = threading.local()

    def init_process(self) -> None:
        self.uploads = Uploads(self.app.settings)
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
        # Imported here: only after the fork.
        from lookbook.telemetry import metrics

        self.metrics = metrics
        self.components = self.wsgi.extensions["lookbook"]
        self.wsgi = partial(self._run, self.wsgi)

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
        head = conn.receive_head()
        if head is not Head.PARTIAL:
            self.poller.unregister(client)
            self.pending_conns.remove(conn)
            self._pass_on(conn, head)

    def finish_request(self, conn: Connection, future: "Future[Any]") -> None:
        """A request has been handled; the future's result says whether the connection stays open for another."""
        result = not future.cancelled() and future.result()
        if result is INCOMPLETE:
            self._go_on_collecting(conn)
            return
        self.uploads.hold(-conn.body.held)
        if not result:
            conn.body.buffer.clear()
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
        if self.uploads and time.monotonic() >= self._next_look:
            self._look_after_uploads()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        super().wait_for_and_dispatch_events(min(timeout, CHECK_SECONDS) if self.uploads else timeout)

    def handle(self, conn: Connection) -> Any:
        self.serving.conn = conn
        try:
            return super().handle(conn)
        except BodyIncomplete:
            return INCOMPLETE

    def handle_error(self, _: Any, client: Socket, addr: Any, exc: BaseException) -> None:
        found = refusal(exc)
        if found.by_client:
            self.log.warning("rejected a request from %s: %s", addr[0], found.message)
        else:
            self.log.error("failed to handle a request", exc_info=exc)
        client.allow(0)
        with suppress(OSError):
            client.sendall(found.encode())

    def _run(self, app: Callable[..., Any], environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        if not self.serving.conn.body.complete:
            environ[environ_keys.INCOMPLETE] = True
        return app(environ, partial(self._start_response, start))

    def _start_response(self, start: Callable[..., Any], *arguments: Any) -> Any:
        # Clients of a server that is not ready reach another one with their next connection.
        self.serving.conn.begin_response(last=not (self.alive and self.components.ready))
        return start(*arguments)

    def _await_head(self, conn: Connection) -> None:
        head = conn.receive_head()
        if head is Head.PARTIAL:
            self._watch(conn, self.pending_conns, HEAD_SECONDS, self.on_pending_socket_readable)
        else:
            self._pass_on(conn, head)

    def _pass_on(self, conn: Connection, head: Head) -> None:
        """Continue with a connection whose head is complete, or never will be."""
        if head is Head.COMPLETE:
            self._dispatch(conn)
        elif head is Head.CLOSED:
            self._close(conn)
        else:
            self.handle_error(
                None, conn.sock, conn.client, LimitRequestHeaders(f"the headers do not end within {HEAD_BYTES} bytes")
            )
            self.method_queue.defer(self._linger, conn)

    def _dispatch(self, conn: Connection) -> None:
        """Handle the request whose head has arrived: liveness in this loop, everything else in a thread."""
        request = conn.begin_request(self.app.settings.max_bytes)
        conn.in_loop = request.startswith(LIVENESS)
        if conn.in_loop:
            conn.give_request_to_parser()
            future: Future[Any] = Future()
            future.set_result(self.handle(conn))
            self.method_queue.defer(self.finish_request, conn, future)
        elif conn.body.complete:
            self._submit(conn)
        else:
            self._collect(conn)

    def _submit(self, conn: Connection) -> None:
        request = conn.give_request_to_parser()
        pool = self.probes if request.startswith(PROBES) else self.tpool
        future = pool.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _collect(self, conn: Connection) -> None:
        """Collect a body in this loop."""
        if conn.body.expects_continue:
            self._submit(conn)  # the application refuses it, or asks for the body
            return
        self.uploads.add(conn)
        if not self._receive_body(conn):
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_body_readable, conn))

    def _go_on_collecting(self, conn: Connection) -> None:
        """Collect the body: the application has had the chance to refuse the request."""
        conn.body.checked = True
        try:
            if conn.body.expects_continue:
                conn.send_continue()
        except OSError:
            self._close(conn)
            return
        self._count_upload(1)
        self._collect(conn)

    def _on_body_readable(self, conn: Connection, client: socket.socket) -> None:
        # Another connection may have ended this upload just before.
        if conn in self.uploads and self._receive_body(conn):
            with suppress(KeyError):  # given up
                self.poller.unregister(client)

    def _receive_body(self, conn: Connection) -> bool:
        """Read what has arrived; false if the body is still incomplete, else the connection has been passed on."""
        try:
            self.uploads.hold(conn.receive_body())
        except OSError:
            self._end_upload(conn)
            self.uploads.hold(-conn.body.held)
            self._close(conn)
            return True
        if conn.body.complete:
            self._end_upload(conn)
            self._submit(conn)
            return True
        while slowest := self.uploads.excess():
            self.metrics.refused.inc()
            self._give_up(slowest, Busy("the uploads in progress take too much memory; try again later"))
        return conn not in self.uploads

    def _end_upload(self, conn: Connection) -> None:
        self.uploads.remove(conn)
        if conn.body.checked:
            self._count_upload(-1)

    def _look_after_uploads(self) -> None:
        self._next_look = time.monotonic() + CHECK_SECONDS
        for conn in self.uploads.late():
            self._give_up(conn, self.uploads.timeout())
        for conn in self.uploads.unchecked(CHECK_SECONDS):
            self._end_upload(conn)
            self.poller.unregister(conn.sock)
            self._submit(conn)

    def _give_up(self, conn: Connection, failure: RequestError) -> None:
        """Let the application respond with the failure."""
        self._end_upload(conn)
        with suppress(KeyError):  # not registered yet
            self.poller.unregister(conn.sock)
        self.uploads.hold(-conn.body.held)
        conn.body.fail(failure)
        self._submit(conn)

    def _count_upload(self, change: int) -> None:
        self.metrics.receiving.inc(change)
        self.metrics.in_flight.inc(change)

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
