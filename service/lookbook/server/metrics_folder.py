"""The folder in which the workers share their metrics. prometheus_client finds it through an environment variable.

Tests: tests/server/test_process.py, tests/server/test_full_disk.py.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from lookbook.telemetry import metrics_files

_LOG = logging.getLogger(__name__)
_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "lookbook-metrics-"
# A new worker takes over the files of one that has ended if more than this many have ended, or if less space is free.
_MAX_ENDED = 4
_MIN_FREE = 128 * 1024


def create() -> None:
    """Make the folder of this process, and remove those of servers that were killed.

    Without a folder there are no metrics, which is logged.
    """
    try:
        parent = Path(tempfile.gettempdir())
        for folder in parent.glob(f"{_PREFIX}*-*"):
            pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
            if pid.isdigit() and (int(pid) == os.getpid() or not Path("/proc", pid).exists()):
                shutil.rmtree(folder, ignore_errors=True)
        os.environ[_VARIABLE] = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
    except OSError as error:
        os.environ.pop(_VARIABLE, None)
        _LOG.error("there are no metrics: cannot create a temporary folder: %s", error.strerror)


def path() -> Path | None:
    folder = os.environ.get(_VARIABLE)
    return Path(folder) if folder else None


def remove() -> None:
    if folder := path():
        shutil.rmtree(folder, ignore_errors=True)


def prepare(number: int, running: Collection[int]) -> None:
    """Before a worker starts, let it take over the files of one that has ended, if there are many or space is low."""
    folder = path()
    if folder:
        with suppress(OSError):
            _continue_files(folder, number, running)


def _continue_files(folder: Path, number: int, running: Collection[int]) -> None:
    numbers = {file: metrics_files.number_of(file) for file in folder.glob("*.db")}
    ended = sorted({found for found in numbers.values() if found is not None} - {*running, number})
    if ended and (len(ended) > _MAX_ENDED or shutil.disk_usage(folder).free < _MIN_FREE):
        for file in (file for file, found in numbers.items() if found == ended[0]):
            file.rename(file.with_name(file.name.replace(f"_{ended[0]}.db", f"_{number}.db")))


def use(number: int) -> None:
    """Let this process, a new worker, keep its metrics in the folder."""
    if path():
        metrics_files.use(number)


def forget(number: int) -> None:
    """Drop the gauges of a worker that has ended, and what it left damaged."""
    folder = path()
    for file in folder.glob(f"*_{number}.db") if folder else ():
        damaged = not metrics_files.is_intact(file)
        if damaged:
            _LOG.warning("metrics are incomplete: a worker has left %s damaged", file)
        if damaged or file.name.startswith("gauge_live"):
            with suppress(OSError):
                file.unlink()
