"""Bearer tokens from a file, which is read again when it changes."""

import hmac
import logging
from pathlib import Path

_LOG = logging.getLogger(__name__)


class Tokens:
    """The tokens of a file, one per line; empty lines are ignored."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if the file cannot be read."""
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._tokens: list[bytes] = []
        self._readable = True
        self._refresh()

    def accepts(self, token: str) -> bool:
        """Whether the token, Latin-1 as in WSGI, is one of the file's; compares in constant time."""
        try:
            self._refresh()
            self._readable = True
        except OSError as error:  # for example while the file is being replaced
            if self._readable:
                _LOG.error("cannot reload the tokens file; keeping the previous tokens: %s", error)
            self._readable = False
        given = token.encode("latin-1", "replace")
        matches = [hmac.compare_digest(given, known) for known in self._tokens]
        return any(matches)

    def _refresh(self) -> None:
        stat = self._path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if stamp != self._stamp:
            lines = self._path.read_bytes().splitlines()
            self._tokens = [line.strip() for line in lines if line.strip()]
            self._stamp = stamp
