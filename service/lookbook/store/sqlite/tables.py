"""All rows of all tables in SQLite, for backups. Tests: tests/unit/test_backup.py."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

from lookbook.errors import LookbookError, StoreUnavailable
from lookbook.store.sqlite.database import Database
from lookbook.store.tables import SHORT_LIVED, Row


class SqliteTables:
    """See lookbook.store.tables.Tables. Bytes are in hexadecimal."""

    def __init__(self, path: str) -> None:
        self._path = path

    def read(self) -> Iterator[Row]:
        """The rows of one snapshot. Raises StoreUnavailable if the file does not exist."""
        try:
            with closing(sqlite3.connect(f"{Path(self._path).absolute().as_uri()}?mode=ro", uri=True)) as connection:
                connection.execute("BEGIN")
                for table in _tables(connection):
                    names = list(_types(connection, table))
                    for row in connection.execute(f"SELECT * FROM {table}"):
                        yield Row(table, dict(zip(names, map(_to_json, row), strict=True)))
        except sqlite3.Error as error:
            raise StoreUnavailable(f"cannot read {self._path}: {error}; check LOOKBOOK_SQLITE_PATH") from error

    def write(self, rows: Sequence[Row]) -> None:
        """Writes the rows in one transaction."""
        with self._database.connection() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            types = {table: _types(connection, table) for table in _tables(connection)}
            for row in rows:
                _insert(connection, row, types.get(row.table, {}))

    def close(self) -> None:
        if "_database" in self.__dict__:
            self._database.close()

    @cached_property
    def _database(self) -> Database:
        """Opened at the first write, because opening it creates the file."""
        return Database(self._path, lambda _: None)


def _insert(connection: sqlite3.Connection, row: Row, types: dict[str, str]) -> None:
    if not row.values.keys() <= types.keys():
        raise LookbookError(
            f"cannot restore {row.table}: no such table or column; use the version that wrote the backup"
        )
    values = [
        bytes.fromhex(value) if types[name] == "BLOB" and value is not None else value
        for name, value in row.values.items()
    ]
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT OR IGNORE INTO {row.table} ({', '.join(row.values)}) VALUES ({marks})", values)


def _tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name != ?", (SHORT_LIVED,))
    return [name for (name,) in found]


def _types(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Column types by name."""
    return {name: type for _, name, type, *_ in connection.execute(f"PRAGMA table_info({table})")}


def _to_json(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
