"""Files that are on the disk when we say so."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lookbook.model.bundle import BundleError

from model_init.errors import Exit, Failure

BLOCK = 1024 * 1024


@contextmanager
def room_in(folder: Path) -> Iterator[None]:
    """Names the folder where the disk is full; write(2) itself names nothing."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Failure(Exit.NO_SPACE, f"no space left in {folder}: give that volume more room") from error


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def blocks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from blocks(file)


def save(content: Iterable[bytes], path: Path, size: int) -> None:
    """Write a file of at most `size` bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("wb") as file:
        for block in content:
            written += len(block)
            if written > size:
                raise BundleError(f"{path}: more than the {size} bytes that the manifest says")
            file.write(block)


def sync(path: Path) -> None:
    """Wait until the disk has a file's bytes, or a folder's names."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def sync_all(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        sync(path)
