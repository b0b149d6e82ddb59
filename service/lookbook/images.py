"""The images that a command line names: files, folders, and standard input."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

# The names that nearly all images have; of other files, the first bytes tell.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_SIGNATURE = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP", re.DOTALL)
STDIN = "-"
# More than any accepted image; a limit, because a folder may hold files of any size.
MAX_MB = 128


def find(paths: Iterable[str]) -> Iterator[str]:
    """Files as given; for a folder, the images in it and its folders, sorted, without hidden ones.

    Yields a folder that cannot be read, too; read() then reports why.
    """
    for path in paths:
        if path != STDIN and os.path.isdir(path):
            yield from sorted(in_folder(path))
        else:
            yield path


def read(path: str) -> bytes:
    """The file's bytes. Raises OSError, also for a file larger than MAX_MB."""
    if path == STDIN and sys.stdin is None:
        raise OSError("standard input is closed")
    with nullcontext(sys.stdin.buffer) if path == STDIN else Path(path).open("rb") as file:
        data = file.read(MAX_MB * 1_000_000 + 1)
    if len(data) > MAX_MB * 1_000_000:
        raise OSError(f"larger than {MAX_MB} MB")
    return data


def in_folder(folder: str, recursive: bool = True) -> Iterator[str]:
    """The images in a folder, as they are found; a folder that cannot be read is among them."""
    unreadable: list[str] = []
    for parent, folders, files in os.walk(folder, onerror=lambda error: unreadable.append(str(error.filename))):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        for name in files:
            path = os.path.join(parent, name)
            if not name.startswith(".") and not _is_special(path) and _is_image(path):
                yield path
    yield from unreadable


def subfolders(folder: str) -> list[str]:
    """The folders in a folder, without hidden ones and symbolic links; none if it cannot be read."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return []
    return sorted(e.path for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith("."))


def _is_image(path: str) -> bool:
    if path.lower().endswith(SUFFIXES):
        return True
    try:
        with Path(path).open("rb") as file:
            return bool(_SIGNATURE.match(file.read(12)))
    except OSError:
        return False  # unreadable, and its name does not say so


def _is_special(path: str) -> bool:
    """Whether it is a pipe, a device, or the like, which might never end. A missing file is left to read()."""
    return os.path.exists(path) and not os.path.isfile(path)
