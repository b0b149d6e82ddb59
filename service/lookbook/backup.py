"""Files with all rows of a store: JSON Lines, compressed with gzip.

The first line names the format and the store, the last one counts the rows between them. A file has its name only once
it is complete and on disk.
"""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lookbook.errors import LookbookError
from lookbook.store.tables import Row

_FORMAT = 1
_PATTERN = "lookbook-*.jsonl.gz"
_LEVEL = 4  # 9 takes several times as long to save a tenth


def write_backup(folder: Path, store: str, rows: Iterable[Row]) -> tuple[Path, int]:
    """Write a backup; returns the new file and its number of rows. Raises LookbookError if it cannot be written."""
    path = folder / f"lookbook-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.jsonl.gz"
    partial = folder / "lookbook.partial"
    count = 0
    try:
        with partial.open("wb") as raw:
            with gzip.GzipFile("", "wb", _LEVEL, raw) as file:
                file.write(_line({"lookbook_backup": _FORMAT, "store": store}))
                for row in rows:
                    file.write(_line(asdict(row)))
                    count += 1
                file.write(_line({"rows": count}))
            raw.flush()
            os.fsync(raw.fileno())
        partial.rename(path)
        _sync(folder)
    except OSError as error:
        raise LookbookError(f"cannot write {path}: {error.strerror}") from error
    return path, count


def newest_backup(path: Path) -> Path:
    """The file itself, or the newest one in a folder."""
    if not path.is_dir():
        return path
    found = sorted(path.glob(_PATTERN))
    if not found:
        raise LookbookError(f"{path} contains no {_PATTERN}: name a backup or a folder with backups")
    return found[-1]


def check_backup(path: Path, store: str) -> int:
    """The number of rows. Raises LookbookError unless the file is complete, undamaged, and from this kind of store."""
    lines = _lines(path)
    first = next(lines, {})
    if first.get("lookbook_backup") != _FORMAT:
        raise LookbookError(f"{path} is not a backup that this version can read: use the version that wrote it")
    if first["store"] != store:
        raise LookbookError(
            f"{path} is a backup of {first['store']}, not of {store}: set LOOKBOOK_STORE={first['store']}"
        )
    count, end = 0, first
    for line in lines:
        if "table" in line:
            count += 1
        else:
            end = line
    if end.get("rows") != count:
        raise LookbookError(f"{path} is incomplete: use another backup")
    return count


def read_backup(path: Path) -> Iterator[Row]:
    """The rows of a file that check_backup() has accepted."""
    for line in _lines(path):
        if "table" in line:
            yield Row(**line)


def remove_old_backups(folder: Path, keep: int) -> None:
    """Leave the newest `keep` backups."""
    for path in sorted(folder.glob(_PATTERN))[:-keep]:
        path.unlink(missing_ok=True)


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(path) as file:
            for line in file:
                content = json.loads(line)
                yield content if isinstance(content, dict) else {}
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise LookbookError(f"cannot read {path}: {error}; use another backup") from error


def _sync(folder: Path) -> None:
    """Make the new name of a file survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
