"""The store's predictions as a table: spark.read.format("lookbook"). Tests: tests/spark/test_history_table.py."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.datasource import (
    DataSource,
    DataSourceReader,
    EqualTo,
    Filter,
    GreaterThan,
    GreaterThanOrEqual,
    InputPartition,
    LessThan,
    LessThanOrEqual,
)
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from lookbook.errors import LookbookError
from lookbook.export.parquet import SCHEMA, to_table
from lookbook.prediction import FIRST_YEAR, first_id
from lookbook.settings import PREFIX, Settings
from lookbook.spark import worker
from lookbook.store.opening import open_store
from lookbook.store.patience import patiently
from lookbook.store.rows import scan_patiently

_PARTITIONS = 16
_OPTIONS = ("columns", "since", "until", "partitions")
_FIRST_ID = first_id(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC))
_STEP = timedelta(microseconds=1)


def register(session: SparkSession) -> None:
    """Make the format "lookbook" known to the session."""
    session.dataSource.register(History)
    # Otherwise, Spark refuses a source that can filter.
    session.conf.set("spark.sql.python.filterPushdown.enabled", "true")


@dataclass
class _Range(InputPartition):
    """Predictions with ids from `since`, inclusive, to `until`, exclusive."""

    since: UUID | None
    until: UUID | None


class History(DataSource):
    """Options: since and until (RFC 3339), columns (comma-separated), partitions, and settings such as sqlite_path.

    Settings default to those in the environment of the driver.
    """

    @classmethod
    def name(cls) -> str:
        return "lookbook"

    def schema(self) -> StructType:
        return from_arrow_schema(_schema(self.options.get("columns")))

    def reader(self, schema: StructType) -> DataSourceReader:
        return _Reader(schema.names, self.options)


class _Reader(DataSourceReader):
    def __init__(self, columns: Sequence[str], options: Mapping[str, str]) -> None:
        self._columns = columns
        self._settings = _settings(options)
        self._since, self._until = (_moment(name, options.get(name)) for name in ("since", "until"))
        self._partitions = int(options.get("partitions", _PARTITIONS))

    def pushFilters(self, filters: list[Filter]) -> Iterator[Filter]:
        """Narrows the time. Spark applies every filter again, so reading too much is safe."""
        for filter in filters:
            if getattr(filter, "attribute", None) == ("created_at",):
                self._narrow(filter)
            yield filter

    def _narrow(self, filter: Filter) -> None:
        match filter:
            case GreaterThan(value=value) | GreaterThanOrEqual(value=value):
                self._since = max(self._since or _utc(value), _utc(value))
            case LessThan(value=value) | LessThanOrEqual(value=value):
                self._until = min(self._until or _utc(value) + _STEP, _utc(value) + _STEP)
            case EqualTo(value=value):
                self._since, self._until = _utc(value), _utc(value) + _STEP

    def partitions(self) -> Sequence[InputPartition]:
        since, until = (first_id(moment) if moment else None for moment in (self._since, self._until))
        with closing(open_store(self._settings, lambda _: None)) as store:
            ranges = patiently(lambda: store.ranges(since, until, self._partitions), worker.PATIENCE_SECONDS)
        # Without a partition, Spark would still read one.
        return [_Range(*bounds) for bounds in ranges or [(_FIRST_ID, _FIRST_ID)]]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        assert isinstance(partition, _Range)  # noqa: S101
        with closing(open_store(self._settings, lambda _: None)) as store:
            for rows in scan_patiently(store.scan, partition.since, partition.until):
                yield from to_table(rows, self._columns).to_batches()


def _schema(columns: str | None) -> pa.Schema:
    names = [name.strip() for name in columns.split(",")] if columns else SCHEMA.names
    for name in names:
        if name not in SCHEMA.names:
            raise LookbookError(f"there is no column {name!r}; the columns are {', '.join(SCHEMA.names)}")
    return pa.schema([SCHEMA.field(name) for name in names])


def _settings(options: Mapping[str, str]) -> Settings:
    """The settings of the environment; options replace them."""
    given = {PREFIX + name.upper(): value for name, value in options.items() if name.lower() not in _OPTIONS}
    return Settings.from_environment({**os.environ, **given})


def _moment(name: str, text: str | None) -> datetime | None:
    try:
        return _utc(datetime.fromisoformat(text)) if text else None
    except ValueError as error:
        raise LookbookError(f"{name} must be a time such as 2026-01-31T12:00Z, not {text!r}") from error


def _utc(moment: datetime) -> datetime:
    """The time in UTC; without an offset, `moment` is local time."""
    return moment.astimezone(UTC)
