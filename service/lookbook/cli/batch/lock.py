"""Lets one command at a time write to a folder. Tests: tests/unit/test_batch_lock.py."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from lookbook.errors import LookbookError


@contextmanager
def locked(folder: str) -> Iterator[None]:
    """No other command on this machine writes to the folder or URL meanwhile; a killed command leaves no lock.

    Raises LookbookError if another one does.
    """
    with open(_path(folder), "w", opener=_opener) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LookbookError(
                f"another command is writing to {folder}: wait until it ends, or choose another folder"
            ) from error
        yield


def _path(folder: str) -> Path:
    """A file for the folder. It is not inside, because Spark replaces folders, and some are URLs."""
    place = folder.rstrip("/") if "://" in folder else os.path.realpath(folder)
    digest = blake2b(os.fsencode(place), digest_size=16).hexdigest()
    return Path(tempfile.gettempdir(), f"lookbook-{os.getuid()}-{digest}.lock")


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
