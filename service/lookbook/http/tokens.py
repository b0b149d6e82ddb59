"""Bearer tokens from a file, which is read again when it changes."""

import hmac
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lookbook.errors import SettingsError
from lookbook.http.roles import ALL_ROLES, Role

MAX_NAME = 100

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Token:
    """`name` is whom its judgments are attributed to; empty if the file does not say."""

    secret: bytes
    roles: frozenset[Role] = ALL_ROLES
    name: str = ""


class Tokens:
    """The tokens of a file, one per line: TOKEN [ROLES [NAME]]; empty lines are ignored."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if the file cannot be read, SettingsError if a line is malformed."""
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._tokens: list[Token] = []
        self._readable = True
        self._refresh()

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, token: str) -> Token | None:
        """The token in the file that equals this text, Latin-1 as in WSGI; compares in constant time."""
        try:
            self._refresh()
            self._readable = True
        except (OSError, SettingsError) as error:  # for example while the file is being replaced
            if self._readable:
                _LOG.error("cannot reload the tokens file; keeping the previous tokens: %s", error)
            self._readable = False
        given = token.encode("latin-1", "replace")
        found = [known for known in self._tokens if hmac.compare_digest(given, known.secret)]
        return found[0] if found else None

    def _refresh(self) -> None:
        stat = self._path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if stamp != self._stamp:
            self._tokens = list(self._read())
            self._stamp = stamp

    def _read(self) -> Iterator[Token]:
        first: dict[bytes, tuple[int, Token]] = {}
        for number, line in enumerate(self._path.read_bytes().splitlines(), 1):
            if not line.strip():
                continue
            try:
                token = _parse(line)
                known_at, known = first.setdefault(token.secret, (number, token))
                if token != known:
                    raise ValueError(f"the token is already in line {known_at}, with other roles or another name")
            except ValueError as error:
                raise SettingsError(f"{self._path}, line {number}: {error}") from None
            yield token


def _parse(line: bytes) -> Token:
    """Raises ValueError with a message that does not repeat the line, because the line holds a secret."""
    secret, *rest = line.split(None, 2)
    if not rest:
        return Token(secret)
    try:
        words = [part.strip().decode() for part in rest]
    except UnicodeDecodeError:
        raise ValueError("the roles and the name must be UTF-8") from None
    name = words[1] if len(words) > 1 else ""
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"the name must be at most {MAX_NAME} printable characters")
    return Token(secret, _roles(words[0]), name)


def _roles(text: str) -> frozenset[Role]:
    names = text.split(",")
    if not set(names) <= ALL_ROLES:
        raise ValueError(f"the roles after the token must be one or more of {', '.join(Role)}, separated by commas")
    return frozenset(map(Role, names))
