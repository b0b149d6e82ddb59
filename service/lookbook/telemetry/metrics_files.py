"""The files in which a worker keeps its metrics, so that every worker can report those of all.

prometheus_client writes to them through memory maps. There, a full disk is a signal that ends the process.
Here a file is mapped only after its blocks are reserved. Without room, metrics are incomplete, but the worker serves.

Tests: tests/server/test_full_disk.py, tests/unit/test_metrics_files.py.
"""

import json
import logging
import os
import re
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Metric, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

_LOG = logging.getLogger(__name__)
_FIRST_BYTES = 8 * 1024
_RETRY_SECONDS = 10
_DAMAGED: set[Path] = set()  # those that have been logged
_NAME = re.compile(r"(?:counter|histogram|gauge_[a-z]+)_(\d+)\.db")


def use(number: int) -> None:
    """Keep the metrics of this process in files with this number; call it before the first metric is created."""
    # prometheus_client has no setting for the class of its files.
    values.MmapedDict = MetricsFile  # type: ignore[attr-defined]
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]


class MetricsFile(MmapedDict):
    """Values by name. What cannot be written for lack of room is left out, and logged once."""

    _complained = False

    def __init__(self, filename: str, read_mode: bool = False) -> None:  # noqa: ARG002 - prometheus_client's signature
        self._f: Any = None
        self._positions: dict[str, int] = {}
        self._path = Path(filename)
        self._mapped = False
        self._retry_at = 0.0

    def read_value(self, key: str) -> tuple[float, float]:
        try:
            return super().read_value(key)  # type: ignore[no-any-return, no-untyped-call]
        except OSError as error:
            self._complain(error)
            return 0.0, 0.0

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        try:
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]
        except OSError as error:
            self._complain(error)

    def _init_value(self, key: str) -> None:
        if time.monotonic() < self._retry_at:
            raise OSError
        self._retry_at = time.monotonic() + _RETRY_SECONDS
        if not self._mapped:
            _reserve(self._path)
            super().__init__(str(self._path))  # type: ignore[no-untyped-call]
            self._mapped = True
        if key not in self._positions:
            self._reserve_for(key)
            super()._init_value(key)  # type: ignore[no-untyped-call]
        self._retry_at = 0.0

    def _reserve_for(self, key: str) -> None:
        """If prometheus_client will enlarge the file for a new value, reserve the blocks for that."""
        needed = self._used + len(key.encode()) + 32  # an entry has up to 28 bytes in addition to its key
        capacity = self._capacity
        while capacity < needed:
            capacity *= 2
        if capacity > self._capacity:
            os.posix_fallocate(self._f.fileno(), 0, capacity)

    def _complain(self, error: OSError) -> None:
        if not MetricsFile._complained:
            MetricsFile._complained = True
            _LOG.error("metrics are incomplete: cannot enlarge %s: %s", self._path, error.strerror)


def _reserve(path: Path) -> None:
    """Create the file with its blocks reserved, unless it exists. Raises OSError if there is no room."""
    if is_intact(path):
        return
    new = path.with_suffix(".new")
    try:
        with new.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, _FIRST_BYTES)
        new.rename(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


class _IntactFiles(MultiProcessCollector):
    """Collects the metrics of all workers, without files that a killed worker or a full disk has left damaged."""

    def collect(self) -> list[Metric]:
        intact = [str(path) for path in sorted(Path(self._path).glob("*.db")) if self._is_intact(path)]
        return list(self.merge(intact))  # type: ignore[no-untyped-call]

    def _is_intact(self, path: Path) -> bool:
        if is_intact(path):
            return True
        if path not in _DAMAGED and path.exists():
            _DAMAGED.add(path)
            _LOG.warning("metrics are incomplete: %s is damaged", path)
        return False


def registry() -> CollectorRegistry:
    """The metrics of all workers; empty if there is no folder for them."""
    found = CollectorRegistry()
    with suppress(ValueError):
        _IntactFiles(found)  # type: ignore[no-untyped-call]
    return found


def is_intact(path: Path) -> bool:
    """Whether every value in a file can be read."""
    return number_of(path) is not None


def number_of(path: Path) -> int | None:
    """The number of the worker that wrote a file; None if not every value in it can be read."""
    match = _NAME.fullmatch(path.name)
    try:
        _check(path.read_bytes())
    except (OSError, ValueError, TypeError, struct.error):
        return None
    return int(match[1]) if match else None


def _check(data: bytes) -> None:
    """Raises an error unless the content of a file consists of values. Source: MmapedDict."""
    (used,) = struct.unpack_from("i", data)
    if not 0 <= used <= len(data):
        raise ValueError
    position = 8
    while position < used:
        (length,) = struct.unpack_from("i", data, position)
        if length <= 0:
            raise ValueError
        metric, name, labels, help = json.loads(data[position + 4 : position + 4 + length])
        if not isinstance(labels, dict):
            raise TypeError
        if not all(isinstance(text, str) for text in (metric, name, help, *labels.values())):
            raise TypeError
        position += 4 + length + 8 - (length + 4) % 8 + 16
    if position > max(used, 8):
        raise ValueError
