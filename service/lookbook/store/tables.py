"""All rows of all tables, for backups. Tests: tests/unit/test_backup.py."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

# Not backed up: a key is kept for a day.
SHORT_LIVED = "idempotency_keys"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table; `values` can be written as JSON.

    `written` is in microseconds and `expires` in seconds since 1970. Both are None if the values include them, and
    `expires` also if the row never expires.
    """

    table: str
    values: Mapping[str, Any]
    written: int | None = None
    expires: float | None = None


class Tables(Protocol):
    """A store as rows. read() and write() raise StoreUnavailable."""

    def read(self) -> Iterator[Row]:
        """Every row that existed before the call, and some of those that are added later."""

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows; existing rows do not change, and expired rows do not come back."""

    def close(self) -> None: ...
