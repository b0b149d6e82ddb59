"""One Spark session for all tests, and images to classify."""

import os
from collections.abc import Iterator

import pytest
from lookbook.errors import LookbookError

from tests.support.places import ROOT
from tests.support.requirements import lacking

try:
    from lookbook.spark.session import check_java, open_session
    from pyspark.sql import SparkSession
except ImportError:
    collect_ignore_glob = ["test_*.py"]

# The workers are processes of their own.
os.environ["PYTHONPATH"] = f"{ROOT / 'service'}:{ROOT}"


@pytest.fixture(scope="session")
def java() -> None:
    """Skips the test where Spark cannot run."""
    try:
        check_java()
    except LookbookError as error:
        lacking(str(error), "SPARK")


@pytest.fixture(scope="session")
def session(java: None) -> "Iterator[SparkSession]":  # noqa: ARG001
    with open_session("tests", {"spark.master": "local[2,4]", "spark.driver.memory": "1g"}) as session:
        yield session
