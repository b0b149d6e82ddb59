"""gunicorn with Lookbook in it."""

import ctypes
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from gunicorn import glogging
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from lookbook.errors import SettingsError, StoreUnavailable
from lookbook.model.bundle import BundleError
from lookbook.server import logs
from lookbook.server.cpus import available_cpus
from lookbook.settings import Settings

# Threads beyond those that requests may take, to refuse the others.
SPARE_THREADS = 8
_M_MMAP_THRESHOLD = -3  # from malloc.h
_METRICS = "lookbook-metrics-"


class Master(Arbiter):  # type: ignore[misc]
    """Halts once when workers refuse to start: gunicorn's own breaks off halting at the next that does."""

    def halt(self, reason: str | None = None, exit_status: int = 0) -> None:
        self.WORKER_BOOT_ERROR = self.APP_LOAD_ERROR = -1
        super().halt(reason, exit_status)


class Logger(glogging.Logger):  # type: ignore[misc]
    """Has no access log, which gunicorn would make for each request even where nothing is written: app.py has one."""

    def access(self, *_: object) -> None:
        pass


class Server(BaseApplication):  # type: ignore[misc]
    """Runs `workers` processes, each of which builds the application after its fork."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        super().__init__()

    def load_config(self) -> None:
        settings = self.settings
        options: dict[str, Any] = {
            "bind": settings.bind,
            "workers": settings.workers or available_cpus(),
            "worker_class": "lookbook.server.worker.Worker",
            "threads": settings.max_requests + SPARE_THREADS,
            # Below the usual limit of 1,024 open files, beyond which accepting would end the worker.
            "worker_connections": 900,
            "keepalive": 30,
            "graceful_timeout": 25,
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,
            "logconfig_dict": logs.CONFIG,
            "logger_class": Logger,
            # Nothing here depends on them: whoever sends one must not change or break an answer.
            "forwarder_headers": "",
            "secure_scheme_headers": {},
            "control_socket_disable": True,
            "proc_name": "lookbook",
            "child_exit": _forget_worker,
            "on_exit": lambda server: shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"]),
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        from lookbook.server.wsgi import build

        try:
            return build(self.settings)
        except (BundleError, StoreUnavailable, OSError) as error:
            _refuse(str(error))

    def run(self) -> None:
        Master(self).run()


def _refuse(reason: str) -> NoReturn:
    """End a worker that must not serve, and with it all; the first to come here says why, in one line."""
    with suppress(FileExistsError):
        Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], "refused").touch(exist_ok=False)
        sys.stderr.write(f"lookbook: {reason}\n")
    sys.exit(Arbiter.APP_LOAD_ERROR)


def _forget_worker(_: Any, worker: Any) -> None:
    # Imported here: prometheus_client looks at its folder's variable once, when it is loaded.
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def _return_memory() -> None:
    """Give large pictures' memory back to the system; glibc would keep it once for each thread."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)


def _check_address(bind: str) -> None:
    """gunicorn would try five times and log eleven lines."""
    host, _, port = bind.rpartition(":")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host.strip("[]"), int(port)))
        except OSError as error:
            raise SettingsError(f"LOOKBOOK_BIND={bind}: {error.strerror}") from error


def _check_tokens(path: str) -> None:
    try:
        if not Path(path).read_bytes().strip():
            sys.stderr.write(f"lookbook: LOOKBOOK_TOKENS_FILE={path} has no token: every call is refused\n")
    except OSError as error:
        raise SettingsError(f"LOOKBOOK_TOKENS_FILE={path}: {error.strerror}") from error


def _check_spans(endpoint: str) -> None:
    try:
        found = find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        found = None
    if not found:
        raise SettingsError(f'LOOKBOOK_OTLP_ENDPOINT={endpoint}: to make spans, pip install "lookbook[otel]"')


def _make_metrics_folder() -> str:
    """Also removes those whose server was killed, where their process number says so."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_METRICS}*-*"):
        pid = folder.name.removeprefix(_METRICS).partition("-")[0]
        if pid.isdigit() and (int(pid) == os.getpid() or not Path("/proc", pid).exists()):
            shutil.rmtree(folder, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{_METRICS}{os.getpid()}-")


def run(settings: Settings) -> None:
    """Serve until told to stop; the folder of the workers' shared metrics lives as long.

    Raises SettingsError where the address cannot be listened on, the tokens cannot be read, or what spans need is not
    installed.
    """
    _check_address(settings.bind)
    if settings.tokens_file:
        _check_tokens(settings.tokens_file)
    if settings.otlp_endpoint:
        _check_spans(settings.otlp_endpoint)
    _return_memory()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = _make_metrics_folder()
    Server(settings).run()
