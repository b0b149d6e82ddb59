"""A bundle's way from a laptop into the volume: a tar on standard input."""

import os
import select
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any, cast

from lookbook.model.bundle import Bundle

from model_init.disk import BLOCK, blocks, save
from model_init.errors import Exit, Failure
from model_init.volume import Volume

MAX_FILES = 1000
SILENCE = 60.0  # seconds


class Counted:
    """The next `size` bytes of a descriptor whose end never shows.

    The Kubernetes API can't close a command's standard input, and a sender that is gone may leave it open.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._left = size

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        if not wanted:
            return b""
        if not select.select([self._descriptor], [], [], SILENCE)[0]:
            raise Failure(Exit.TIMED_OUT, f"{self._missing()}, nothing for {SILENCE:.0f} s: publish it again")
        block = os.read(self._descriptor, wanted)
        if not block:
            raise Failure(Exit.FAILED, f"{self._missing()}, then the input ended: publish it again")
        self._left -= len(block)
        return block

    def _missing(self) -> str:
        return f"{self._size - self._left} of {self._size} bytes came"


def receive(descriptor: int, size: int, volume: Volume) -> tuple[Bundle, bool]:
    """Unpack a tar of exactly `size` bytes and publish it; False where it stood there already."""
    with volume.temporary() as folder:
        draft = folder / "bundle"
        draft.mkdir()
        source = Counted(descriptor, size)
        try:
            with tarfile.open(fileobj=cast(Any, source), mode="r|") as tar:
                _unpack(tar, draft, size)
        except tarfile.TarError as error:
            raise Failure(Exit.FAILED, f"what came is no tar of a bundle: {error}") from error
        while source.read(BLOCK):
            pass
        return volume.settle(draft)


def _unpack(tar: tarfile.TarFile, draft: Path, size: int) -> None:
    left = size
    for count, member in enumerate(tar, 1):
        if member.isdir():
            continue
        # tarfile's own filter for this is lacking in the Python 3.11 of Debian 12.
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise Failure(Exit.FAILED, f"{member.name!r} in the tar lies outside the bundle")
        content = tar.extractfile(member) if member.isreg() and not member.issparse() else None
        if content is None:
            raise Failure(Exit.FAILED, f"{member.name!r} in the tar is no file")
        left -= member.size
        if count > MAX_FILES or left < 0:
            raise Failure(Exit.FAILED, f"the tar holds more than {MAX_FILES} files or {size} bytes")
        save(blocks(content), draft / path, member.size)
