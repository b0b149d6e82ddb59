"""Reading and writing files, and waiting until they are on disk. Tests: tests/unit/model_init/test_publish.py."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lookbook.model.bundle import BundleError

from model_init.errors import DiskFull

BLOCK = 1024 * 1024


@contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Raise DiskFull, which names the folder, where the operating system's error names nothing."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(f"no space left in {folder}: enlarge that volume") from error


def read_blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def read_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from read_blocks(file)


def write_file(path: Path, content: Iterable[bytes], limit: int) -> None:
    """Write a file of at most `limit` bytes, and its folders; a longer one raises BundleError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("wb") as file:
        for block in content:
            written += len(block)
            if written > limit:
                raise BundleError(f"{path}: larger than the {limit} bytes in the manifest")
            file.write(block)


def sync(path: Path) -> None:
    """Wait until the disk has a file's bytes, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        sync(path)
