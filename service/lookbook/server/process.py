"""The server process: gunicorn, configured for Lookbook."""

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from gunicorn import glogging
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from lookbook.errors import LookbookError
from lookbook.server import logs, metrics_folder
from lookbook.server.checks import check
from lookbook.server.cpus import available_cpus
from lookbook.settings import Settings

# Threads in addition to those for admitted requests; they refuse the other requests.
SPARE_THREADS = 8
_M_MMAP_THRESHOLD = -3  # from malloc.h


def run(settings: Settings) -> None:
    """Serve until told to stop. Raises SettingsError as check()."""
    check(settings)
    _return_memory()
    metrics_folder.create()
    Server(settings).run()


class Server(BaseApplication):  # type: ignore[misc]
    """Runs worker processes, each of which builds the application after its fork."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
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
            _refuse_to_start(str(error))

    def run(self) -> None:
        Master(self).run()


class Master(Arbiter):  # type: ignore[misc]
    """Shuts down when workers refuse to start; gunicorn's own abandons the shutdown when a second worker refuses."""

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
        "bind": settings.bind,
        "workers": settings.workers or available_cpus(),
        "worker_class": "lookbook.server.worker.Worker",
        "threads": settings.max_requests + SPARE_THREADS,
        # Below the usual limit of 1,024 open files, beyond which accept() would end the worker.
        "worker_connections": 900,
        "keepalive": 30,
        "graceful_timeout": 25,
        "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,
        "logconfig_dict": logs.CONFIG,
        "logger_class": Logger,
        # Lookbook does not use these headers: a client that sends one must not change or break a response.
        "forwarder_headers": "",
        "secure_scheme_headers": {},
        "control_socket_disable": True,
        "proc_name": "lookbook",
        "child_exit": lambda master, worker: metrics_folder.forget(worker.pid),
        "on_exit": lambda master: metrics_folder.remove(),
    }


def _refuse_to_start(reason: str) -> NoReturn:
    """End this worker, and with it the server. Of several workers, the first one prints why."""
    with suppress(FileExistsError):
        (metrics_folder.path() / "refused").touch(exist_ok=False)
        sys.stderr.write(f"lookbook: {reason}\n")
    sys.exit(Arbiter.APP_LOAD_ERROR)


def _return_memory() -> None:
    """Return the memory of large images to the system when it is freed; glibc would keep it, once per thread."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)
