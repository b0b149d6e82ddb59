"""All rows of all tables in Cassandra, for backups. Tests: tests/unit/test_backup.py."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from cassandra import InvalidRequest
from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.query import SimpleStatement

from lookbook.errors import LookbookError, StoreUnavailable
from lookbook.settings import Settings
from lookbook.store.cassandra.buckets import bucket_ttl
from lookbook.store.cassandra.cluster import DRIVER_ERRORS, PATIENT_SECONDS, open_cluster
from lookbook.store.patience import patiently
from lookbook.store.tables import SHORT_LIVED, Row

_T = TypeVar("_T")

_PAGE_ROWS = 20  # a row can have megabytes
_CONCURRENCY = 32
_GIVE_UP_SECONDS = 120


class CassandraTables:
    """See lookbook.store.tables.Tables. Rows keep their timestamps, so that what was deleted later stays deleted."""

    def __init__(self, settings: Settings) -> None:
        self._keyspace = settings.cassandra_keyspace
        self._retention = settings.retention
        self._cluster = open_cluster(settings, PATIENT_SECONDS)
        self._session: Session = _patiently(self._cluster.connect)

    def read(self) -> Iterator[Row]:
        """Reads predictions after what belongs to them, and then the directories, which have no columns but the key."""
        tables = self._columns()
        for table in sorted(tables, key=lambda table: (not tables[table][1], table == "predictions")):
            yield from self._read(table, *tables[table])

    def write(self, rows: Sequence[Row]) -> None:
        now = time.time()
        alive = [row for row in rows if row.expires is None or row.expires - now >= 1]
        for table, group in groupby(alive, lambda row: row.table):
            values = [
                (json.dumps(row.values), int(row.expires - now) if row.expires else 0, row.written) for row in group
            ]
            try:
                insert = self._session.prepare(
                    f"INSERT INTO {self._keyspace}.{table} JSON ? DEFAULT UNSET USING TTL ? AND TIMESTAMP ?"
                )
                _patiently(partial(execute_concurrent_with_args, self._session, insert, values, _CONCURRENCY))
            except InvalidRequest as error:
                raise LookbookError(
                    f"cannot restore {table}: {error}; use the version that wrote the backup"
                ) from error

    def close(self) -> None:
        self._cluster.shutdown()

    def _columns(self) -> dict[str, tuple[list[str], list[str]]]:
        """For each table, the columns of its key and the others."""
        tables: dict[str, tuple[list[str], list[str]]] = {}
        for table, column, kind in self._session.execute(
            "SELECT table_name, column_name, kind FROM system_schema.columns WHERE keyspace_name = %s",
            (self._keyspace,),
        ):
            if table != SHORT_LIVED:
                tables.setdefault(table, ([], []))[kind == "regular"].append(column)
        return tables

    def _read(self, table: str, key: list[str], others: list[str]) -> Iterator[Row]:
        columns = key + others + [f"{function}({name})" for name in others for function in ("writetime", "ttl")]
        query = f"SELECT JSON {', '.join(columns)} FROM {self._keyspace}.{table}"
        statement = SimpleStatement(query, fetch_size=_PAGE_ROWS)
        state = None
        while True:
            page = _patiently(partial(self._session.execute, statement, paging_state=state))
            for (text,) in page.current_rows:
                yield self._row(table, json.loads(text), others)
            state = page.paging_state
            if state is None:
                return

    def _row(self, table: str, found: dict[str, Any], others: list[str]) -> Row:
        now = time.time()
        written = [found.pop(f"writetime({name})") for name in others]
        ttls = [found.pop(f"ttl({name})") for name in others]
        # An entry of a directory must live as long as what it leads to.
        ttl = max(filter(None, ttls), default=0) if others else bucket_ttl(self._retention)
        return Row(
            table,
            {name: value for name, value in found.items() if value is not None},
            max(filter(None, written), default=int(now * 1e6)),
            now + ttl if ttl else None,
        )


def _patiently(call: Callable[[], _T]) -> _T:
    """Repeat a call of the driver for two minutes. Raises StoreUnavailable, and InvalidRequest at once."""

    def attempt() -> _T:
        try:
            return call()
        except InvalidRequest:
            raise
        except DRIVER_ERRORS as error:
            raise StoreUnavailable(f"Cassandra is unavailable: {error}; check LOOKBOOK_CASSANDRA_*") from error

    return patiently(attempt, _GIVE_UP_SECONDS)
