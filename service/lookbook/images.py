"""The pictures that a command line names: files, folders and standard input."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
STDIN = "-"
# More than any picture that is taken; what else is found in a folder must not fill the memory.
MAX_MB = 128


def find(paths: Iterable[str]) -> Iterator[str]:
    """Files as they are given; of folders the pictures in them and in theirs, sorted, but for hidden ones.

    A folder that can't be read is given, too: reading it then says why.
    """
    for path in paths:
        if path != STDIN and os.path.isdir(path):
            yield from sorted(_inside(path))
        else:
            yield path


def read(path: str) -> bytes:
    """The file's bytes; raises OSError, also where it is larger than MAX_MB."""
    if path == STDIN and sys.stdin is None:
        raise OSError("standard input is closed")
    with nullcontext(sys.stdin.buffer) if path == STDIN else Path(path).open("rb") as file:
        data = file.read(MAX_MB * 1_000_000 + 1)
    if len(data) > MAX_MB * 1_000_000:
        raise OSError(f"larger than {MAX_MB} MB")
    return data


def _inside(folder: str) -> Iterator[str]:
    unreadable: list[str] = []
    for parent, folders, files in os.walk(folder, onerror=lambda error: unreadable.append(str(error.filename))):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = os.path.join(parent, name)
            if name.lower().endswith(SUFFIXES) and not name.startswith(".") and not _blocks(path):
                yield path
    yield from unreadable


def _blocks(path: str) -> bool:
    """Whether it is a pipe or the like, which may never end. What isn't there is said when it is read."""
    return os.path.exists(path) and not os.path.isfile(path)
