"""Batch jobs and the history as a table, on Spark."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def register(session: "SparkSession") -> None:
    """Make the format "lookbook" known to the session."""
    # Imported here: each worker of a batch job would need more memory for it.
    from lookbook.spark.history import History

    session.dataSource.register(History)
    # Otherwise, Spark refuses a source that can filter.
    session.conf.set("spark.sql.python.filterPushdown.enabled", "true")
