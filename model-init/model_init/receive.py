"""Publishes a bundle that `lookbook model publish` sends as a tar on standard input."""

import os
import select
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any, cast

from model_init.disk import BLOCK, read_blocks, write_file
from model_init.errors import Refused, TimedOut
from model_init.volume import Published, Volume

MAX_FILES = 1000
MAX_PAUSE = 60.0  # seconds without input
_PUBLISH = "publish with `lookbook model publish`"


class SizedInput:
    """The next `size` bytes of a descriptor, without waiting for its end.

    The Kubernetes API cannot close a command's standard input, and a sender that is gone may leave it open.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._left = size

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        if not wanted:
            return b""
        if not select.select([self._descriptor], [], [], MAX_PAUSE)[0]:
            raise TimedOut(f"{self._progress()}, then nothing for {MAX_PAUSE:.0f} s: publish again")
        block = os.read(self._descriptor, wanted)
        if not block:
            raise Refused(f"{self._progress()}, then the input ended: publish again")
        self._left -= len(block)
        return block

    def _progress(self) -> str:
        return f"received {self._size - self._left} of {self._size} bytes"


def receive(descriptor: int, size: int, volume: Volume) -> Published:
    """Unpack a tar of exactly `size` bytes and publish the bundle in it."""
    with volume.draft() as draft:
        draft.mkdir()
        source = SizedInput(descriptor, size)
        try:
            with tarfile.open(fileobj=cast(Any, source), mode="r|") as tar:
                _unpack(tar, draft, size)
        except tarfile.TarError as error:
            raise Refused(f"the input is not a tar archive of a bundle: {error}: {_PUBLISH}") from error
        # Read the padding, too: the sender waits until all of it is taken.
        while source.read(BLOCK):
            pass
        return volume.install(draft)


def _unpack(tar: tarfile.TarFile, draft: Path, size: int) -> None:
    left = size
    for count, member in enumerate(tar, 1):
        if member.isdir():
            continue
        # Checked here because tarfile's own filter is missing from the Python 3.11 of Debian 12.
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise Refused(f"the tar archive contains {member.name!r}, which is outside the bundle: {_PUBLISH}")
        content = tar.extractfile(member) if member.isreg() and not member.issparse() else None
        if content is None:
            raise Refused(f"the tar archive contains {member.name!r}, which is not a regular file: {_PUBLISH}")
        left -= member.size
        if count > MAX_FILES:
            raise Refused(f"the tar archive contains more than {MAX_FILES} files: list fewer in the manifest")
        if left < 0:
            raise Refused(f"the files in the tar archive are larger than the archive itself ({size} bytes): {_PUBLISH}")
        write_file(draft / path, read_blocks(content), member.size)
