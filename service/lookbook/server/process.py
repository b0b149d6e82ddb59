"""The server process: gunicorn, configured for Lookbook."""

import ctypes
import errno
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from gunicorn import glogging
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.http.errors import UnsupportedTransferCoding
from gunicorn.sock import TCP6Socket, TCPSocket

from lookbook.addresses import bind
from lookbook.errors import LookbookError, SettingsError
from lookbook.server import logs, metrics_folder
from lookbook.server.checks import check
from lookbook.server.cpus import available_cpus
from lookbook.server.restarts import Restarts
from lookbook.server.uploads import longest_seconds
from lookbook.server.worker import Worker
from lookbook.settings import Settings

# Threads in addition to those for admitted requests; they refuse the other requests.
SPARE_THREADS = 8
# During shutdown, for requests whose bodies have arrived.
HANDLING_SECONDS = 25
_M_MMAP_THRESHOLD = -3  # from malloc.h


def run(settings: Settings) -> None:
    """Serve until told to stop. Raises SettingsError as check(), and if it cannot listen on the address."""
    try:
        listener = bind(settings.bind)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        advice = "stop the other server, or choose another port" if in_use else "choose another address or port"
        raise SettingsError(
            f"LOOKBOOK_BIND={settings.bind}: cannot listen there: {error.strerror}; {advice}"
        ) from error
    check(settings)
    _return_memory()
    Server(settings, listener).run()


class Server(BaseApplication):  # type: ignore[misc]
    """Runs worker processes, each of which builds the application after its fork."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self.settings = settings
        self._listener = listener
        self._reasons = Reasons()
        super().__init__()

    def load_config(self) -> None:
        for name, value in _options(self.settings).items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        # Imported here: only after the fork, and after the metrics folder exists.
        from lookbook.server.wsgi import build

        try:
            return build(self.settings)
        except (LookbookError, OSError) as error:
            self._reasons.print_first(str(error))
            sys.exit(Arbiter.APP_LOAD_ERROR)

    def run(self) -> None:
        Master(self, self._listener).run()


class Reasons:
    """Prints only the first of the reasons why workers, which are separate processes, refuse to start."""

    def __init__(self) -> None:
        # The worker that reads the only byte prints.
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        os.write(write, b"1")
        os.close(write)

    def print_first(self, reason: str) -> None:
        if os.read(self._read, 1):
            sys.stderr.write(f"lookbook: {reason}\n")


class Master(Arbiter):  # type: ignore[misc]
    """Restarts workers that die at once after growing pauses, and shuts down when workers refuse to start."""

    def __init__(self, app: Server, listener: socket.socket) -> None:
        super().__init__(app)
        wrap = TCP6Socket if listener.family == socket.AF_INET6 else TCPSocket
        self.LISTENERS = [wrap(listener.getsockname(), self.cfg, self.log, fd=listener.detach())]
        self._restarts = Restarts()

    def ages(self) -> list[int]:
        """gunicorn's numbers for the workers that are running."""
        return [worker.age for worker in self.WORKERS.values()]

    def ended(self, worker: Worker) -> None:
        metrics_folder.forget(worker.age)
        seconds = time.monotonic() - worker.born
        if pause := self._restarts.ended(seconds, self.num_workers):
            self.log.error("A worker ended %.0f s after its start; the next one starts in %.0f s", seconds, pause)

    def spawn_workers(self) -> None:
        """Called every second, and whenever a worker has ended."""
        if not self._restarts.due():
            return
        try:
            super().spawn_workers()
        except OSError as error:
            pause = self._restarts.ended(0, self.num_workers)
            self.log.error("Cannot start a worker: %s; the next attempt is in %.0f s", error.strerror, pause)

    def halt(self, reason: str | None = None, exit_status: int = 0) -> None:
        self.WORKER_BOOT_ERROR = self.APP_LOAD_ERROR = -1
        super().halt(reason, exit_status)


class Logger(glogging.Logger):  # type: ignore[misc]
    """Has no access log: gunicorn would format a line for each request even if nothing writes it."""

    def access(self, *_: object) -> None:
        """Do nothing; the application logs its requests itself."""


def _options(settings: Settings) -> dict[str, Any]:
    """gunicorn's options."""
    return {
        "workers": settings.workers or available_cpus(),
        "worker_class": "lookbook.server.worker.Worker",
        "threads": settings.max_requests + SPARE_THREADS,
        # Below the usual limit of 1,024 open files, beyond which accept() would end the worker.
        "worker_connections": 900,
        "keepalive": settings.keep_alive,
        "graceful_timeout": longest_seconds(settings) + HANDLING_SECONDS,
        "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,
        "logconfig_dict": logs.CONFIG,
        "logger_class": Logger,
        # Lookbook does not use these headers: a client that sends one must not change or break a response.
        "forwarder_headers": "",
        "secure_scheme_headers": {},
        "control_socket_disable": True,
        "proc_name": "lookbook",
        "on_starting": lambda master: metrics_folder.create(),
        "when_ready": lambda master: master.log.info(_kept(settings)),
        "pre_fork": lambda master, worker: metrics_folder.prepare(worker.age, master.ages()),
        "pre_request": _prepare,
        "post_fork": lambda master, worker: metrics_folder.use(worker.age),
        "child_exit": lambda master, worker: master.ended(worker),
        "on_exit": lambda master: metrics_folder.remove(),
    }


def _kept(settings: Settings) -> str:
    """What is kept of images, as a sentence."""
    if settings.keep == "none":
        return "Images are not kept"
    what = "The uploaded files" if settings.keep == "original" else "The pixels that the model sees"
    images = "all images" if settings.keep_for == "all" else "a random sample of the images"
    return f"{what} of {images} are kept for up to {settings.keep_days} days; LOOKBOOK_KEEP=none turns this off"


def _prepare(_: Worker, request: Any) -> None:
    """Raises UnsupportedTransferCoding if the body is compressed, which the parser marks with `must_close`."""
    request._expected_100_continue = False  # the worker asks for the body
    if request.must_close:
        raise UnsupportedTransferCoding("TRANSFER-ENCODING")


def _return_memory() -> None:
    """Return the memory of large images to the system when it is freed; glibc would keep it, once per thread."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)
