"""gunicorn with Lookbook in it."""

import ctypes
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

from service import logs
from service.cpus import available_cpus
from service.settings import Settings

# Threads beyond those that requests may take, to refuse the others.
SPARE_THREADS = 8
_M_MMAP_THRESHOLD = -3  # from malloc.h


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
            "worker_class": "service.worker.Worker",
            "threads": settings.max_requests + SPARE_THREADS,
            # Below the usual limit of 1,024 open files, beyond which accepting would end the worker.
            "worker_connections": 900,
            "keepalive": 30,
            "graceful_timeout": 25,
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,
            "logconfig_dict": logs.CONFIG,
            "control_socket_disable": True,
            "proc_name": "lookbook",
            "reload": settings.reload,
            "child_exit": _forget_worker,
            "on_exit": lambda server: shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"]),
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        from service.wsgi import build

        return build(self.settings)


def _forget_worker(_: Any, worker: Any) -> None:
    # Imported here: prometheus_client looks at its folder's variable once, when it is loaded.
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def _return_memory() -> None:
    """Give large pictures' memory back to the system; glibc would keep it once for each thread."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)


def run(settings: Settings) -> None:
    """Serve until told to stop; the folder of the workers' shared metrics lives as long."""
    _return_memory()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="lookbook-metrics-")
    Server(settings).run()
