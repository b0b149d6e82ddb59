"""Where bundles are pulled from: the volume's HTTP server, or the volume itself.

http.client instead of an HTTP library: it starts fast, follows no redirect, and ignores proxy variables.
Tests: tests/unit/model_init/test_pull.py.
"""

from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from model_init.disk import BLOCK, read_file

TIMEOUT = 5.0  # seconds, for each connect and each read


class FileMissing(Exception):
    """The source has no such file, or not yet."""


class SourceUnreachable(Exception):
    """The source did not deliver the file; another attempt may succeed."""


class Source(Protocol):
    def read(self, path: str) -> Iterator[bytes]:
        """The blocks of a file; raises FileMissing or SourceUnreachable."""


class HttpSource:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 80, parts.path.rstrip("/")

    def read(self, path: str) -> Iterator[bytes]:
        connection = HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        try:
            connection.request("GET", f"{self._path}/{quote(path)}")
            response = connection.getresponse()
            if response.status == 404:
                raise FileMissing(path)
            if response.status != 200:
                raise SourceUnreachable(f"HTTP status {response.status} {response.reason}")
            while block := response.read(BLOCK):
                yield block
            if response.length:
                raise SourceUnreachable("the connection closed early")
        except (OSError, HTTPException) as error:
            raise SourceUnreachable(str(error) or type(error).__name__) from error
        finally:
            connection.close()


class FolderSource:
    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> Iterator[bytes]:
        if not self._root.is_dir():
            raise SourceUnreachable("no such folder")
        try:
            yield from read_file(self._root / path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileMissing(path) from error
        except OSError as error:
            raise SourceUnreachable(str(error)) from error


def is_url(location: str) -> bool:
    return location.startswith("http://")


def open_source(location: str) -> Source:
    return HttpSource(location) if is_url(location) else FolderSource(Path(location))
