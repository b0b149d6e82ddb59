"""The folder in which the workers share their metrics. prometheus_client finds it through an environment variable.

Tests: tests/server/test_process.py.
"""

import os
import shutil
import tempfile
from pathlib import Path

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "lookbook-metrics-"


def create() -> None:
    """Make the folder of this process, and remove those of servers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and (int(pid) == os.getpid() or not Path("/proc", pid).exists()):
            shutil.rmtree(folder, ignore_errors=True)
    os.environ[_VARIABLE] = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")


def path() -> Path:
    return Path(os.environ[_VARIABLE])


def remove() -> None:
    shutil.rmtree(path())


def forget(pid: int) -> None:
    """Drop the gauges of a worker that has ended."""
    # Imported here: prometheus_client reads the variable once, when it is imported.
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]
