"""What it costs to read the history as a table of Spark. Each function needs a process of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path

from lookbook.spark import register
from lookbook.spark.session import open_session
from pyspark.sql import DataFrame
from pyspark.sql.functions import to_date

from benchmarks.errors import BenchmarkError
from benchmarks.spark_processes import cpu_seconds

COUNT, GROUPS, PARQUET = "count", "group by label and day", "to Parquet"


def history(folder: Path, options: Mapping[str, str], rows: int) -> dict[str, float]:
    """CPU time in microseconds for each row of three queries; `options` name the store."""
    with open_session("bench", {}) as session:
        register(session)

        def load(**more: str) -> DataFrame:
            return session.read.format("lookbook").options(**options, **more).load()

        def measure(query: Callable[[], object]) -> float:
            before = cpu_seconds()
            query()
            return (cpu_seconds() - before) / rows * 1e6

        def count() -> None:
            found = load(columns="label,score").count()
            if found != rows:
                raise BenchmarkError(f"the table has {found:,} rows instead of {rows:,}")

        def group() -> None:
            load(columns="created_at,label").groupBy("label", to_date("created_at")).count().collect()

        load(columns="label", until="2020-01-02").groupBy("label").count().collect()
        return {
            COUNT: measure(count),
            GROUPS: measure(group),
            PARQUET: measure(lambda: load().write.parquet(str(folder / "history"))),
        }
