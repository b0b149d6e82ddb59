"""The history as a table of Spark, against the same rows in Python."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lookbook import spark
from lookbook.judgment import Judgment
from lookbook.prediction import Prediction, id_maker
from lookbook.store.sqlite import SqliteStore
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col

from tests.support.predictions import fill, walk

START = datetime(2026, 3, 8, 5, 30, tzinfo=UTC)  # the night in which New York's clocks go forward
LATER = [START + timedelta(minutes=7 * number, microseconds=number) for number in range(200)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("history") / "store.sqlite")
    with closing(SqliteStore(path, lambda _: None)) as store:
        newest, *_ = fill(store, LATER)
        store.judge(newest, Judgment(id_maker()(), newest.id, "ana", "Hat"))
    return path


@pytest.fixture
def rows(path: str) -> list[Prediction]:
    with closing(SqliteStore(path, lambda _: None)) as store:
        return walk(store, 1_000)


@pytest.fixture
def table(session: SparkSession, path: str) -> Callable[..., DataFrame]:
    spark.register(session)

    def load(**options: str | int) -> DataFrame:
        return session.read.format("lookbook").options(sqlite_path=path, **options).load()

    return load


def test_all_columns_have_proper_types(table: Callable[..., DataFrame], rows: list[Prediction]) -> None:
    found = table()
    assert dict(found.dtypes) | {"top": "", "judgments": ""} == {
        "created_at": "timestamp",
        "id": "string",
        "file_name": "string",
        "label": "string",
        "score": "double",
        "top": "",
        "model_name": "string",
        "model_version": "string",
        "ground_truth": "string",
        "judgments": "",
    }
    read = sorted(found.collect(), key=lambda row: row.id)
    expected = sorted(rows, key=lambda row: str(row.id))
    assert [(row.id, row.label, row.score, row.model_version) for row in read] == [
        (str(row.id), row.label, row.score, row.model_version) for row in expected
    ]
    assert [row.created_at.timestamp() for row in read] == [row.created_at.timestamp() for row in expected]
    assert [row.ground_truth for row in read if row.ground_truth] == ["Hat"]


@pytest.fixture(params=["America/New_York", "Asia/Kolkata"])
def zone(request: pytest.FixtureRequest, session: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The zone of Python and of the session."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    session.conf.set("spark.sql.session.timeZone", request.param)
    yield
    session.conf.set("spark.sql.session.timeZone", "UTC")
    monkeypatch.undo()
    time.tzset()


BOUND = LATER[100]


# Each compares a column in Spark and a time in Python.
@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    "condition",
    [
        lambda at: at >= BOUND,
        lambda at: at > BOUND,
        lambda at: at < BOUND,
        lambda at: at <= BOUND,
        lambda at: at == BOUND,
        lambda at: at != BOUND,
        lambda at: (at >= LATER[50]) & (at <= LATER[60]),
        lambda at: (at < LATER[9]) | (at > LATER[190]),
        lambda at: (at == LATER[1]) | (at == LATER[150]),
        lambda at: at > LATER[199],
    ],
)
def test_filters_find_what_brute_force_finds(
    condition: Callable[[Any], Any], table: Callable[..., DataFrame], rows: list[Prediction]
) -> None:
    found = {
        row.id for row in table(columns="id,created_at", partitions=2).where(condition(col("created_at"))).collect()
    }
    assert found == {str(row.id) for row in rows if condition(row.created_at)}


def test_a_time_filter_reads_less(table: Callable[..., DataFrame]) -> None:
    all_of_it, late = table(columns="created_at"), table(columns="created_at").where(col("created_at") > LATER[190])
    assert late.count() == 9
    assert late.rdd.getNumPartitions() <= all_of_it.rdd.getNumPartitions()


def test_options_limit_columns_and_time(table: Callable[..., DataFrame]) -> None:
    found = table(columns="label, score", since="2026-03-08T05:30:00Z", until=LATER[10].isoformat(), partitions=3)
    assert found.columns == ["label", "score"]
    assert found.count() == 10


def test_labels_by_day(table: Callable[..., DataFrame], rows: list[Prediction]) -> None:
    found = table(columns="created_at,label").groupBy("label").count().collect()
    assert {row.label: row["count"] for row in found} == {
        label: sum(row.label == label for row in rows) for label in {row.label for row in rows}
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": "id,size"}, "there is no column 'size'; the columns are created_at"),
        ({"since": "yesterday"}, "since must be a time such as 2026-01-31T12:00Z, not 'yesterday'"),
        ({"sqlite_file": "x"}, "LOOKBOOK_SQLITE_FILE is not a setting"),
    ],
)
def test_wrong_options_are_named(table: Callable[..., DataFrame], options: dict[str, str | int], message: str) -> None:
    with pytest.raises(PySparkException, match=message):
        table(**options).count()


def test_an_empty_store_is_an_empty_table(session: SparkSession, tmp_path: Path) -> None:
    spark.register(session)
    reader = session.read.format("lookbook").option("sqlite_path", str(tmp_path / "new.sqlite"))
    assert reader.load().count() == 0
