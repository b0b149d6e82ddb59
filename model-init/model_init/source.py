"""Where bundles are pulled from: the HTTP server of the volume, or the volume itself.

http.client rather than an HTTP library: it starts fast, follows no redirect and heeds no proxy variable.
"""

from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import quote, urlsplit

from model_init.disk import BLOCK, blocks_of

TIMEOUT = 5.0  # seconds, of each connect and each read


class Absent(Exception):
    """The source has no such file."""


class Unreachable(Exception):
    """The source did not give the file; it may a moment later."""


class HttpSource:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 80, parts.path.rstrip("/")

    def blocks(self, path: str) -> Iterator[bytes]:
        connection = HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        try:
            connection.request("GET", f"{self._path}/{quote(path)}")
            response = connection.getresponse()
            if response.status == 404:
                raise Absent(path)
            if response.status != 200:
                raise Unreachable(f"it answers {response.status} {response.reason}")
            while block := response.read(BLOCK):
                yield block
            if response.length:
                raise Unreachable("the connection ended early")
        except (OSError, HTTPException) as error:
            raise Unreachable(str(error) or type(error).__name__) from error
        finally:
            connection.close()


class FolderSource:
    def __init__(self, root: Path) -> None:
        self._root = root

    def blocks(self, path: str) -> Iterator[bytes]:
        if not self._root.is_dir():
            raise Unreachable("no such folder")
        try:
            yield from blocks_of(self._root / path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Absent(path) from error
        except OSError as error:
            raise Unreachable(str(error)) from error


def source_at(place: str) -> HttpSource | FolderSource:
    return HttpSource(place) if place.startswith("http://") else FolderSource(Path(place))
