"""Where a job's images come from: each source as a table of paths, with the content where workers cannot read them.

Tests: tests/spark/test_batch.py.
"""

import glob
import os
import re
from collections.abc import Callable, Iterator

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col

from lookbook import images
from lookbook.errors import LookbookError
from lookbook.spark.arrow import to_batch
from lookbook.spark.session import reason

_BATCH = 1_000
_LISTING_TASKS = 64
_PATHS = pa.schema([("path", pa.string())])
_URL = re.compile(r"[a-z][a-z0-9+.-]*://")


def read_source(session: SparkSession, source: str) -> DataFrame:
    """A table with the column path and, except for files that the workers read by themselves, content.

    Raises LookbookError if the source does not exist.
    """
    if source.endswith((".parquet", ".parquet/")):
        return _parquet(session, source)
    if _URL.match(source):
        return _remote(session, source)
    if source.endswith(".txt"):
        return _existing(session.read.text, source).select(col("value").alias("path")).where("path != ''")
    paths = sorted(glob.iglob(source, recursive=True)) if glob.has_magic(source) else [source]
    paths = [os.path.abspath(path) for path in paths if os.path.exists(path)]
    if not paths:
        raise LookbookError(
            f"{source} not found: give a folder, a glob, a .parquet or .txt file, or a URL such as hdfs://"
        )
    return _listed(session, paths)


def _parquet(session: SparkSession, source: str) -> DataFrame:
    table = _existing(session.read.parquet, source)
    if "path" not in table.columns:
        raise LookbookError(
            f"{source} has the columns {', '.join(table.columns)}; it needs path, and content if "
            "the workers cannot read the paths"
        )
    return table.select("path", "content") if "content" in table.columns else table.select("path")


def _remote(session: SparkSession, source: str) -> DataFrame:
    reader = session.read.format("binaryFile").option("recursiveFileLookup", "true")
    return _existing(reader.load, source).select("path", "content")


def _existing(read: Callable[[str], DataFrame], source: str) -> DataFrame:
    try:
        return read(source)
    except AnalysisException as error:
        if error.getCondition() == "PATH_NOT_FOUND":
            raise LookbookError(f"{source} not found: check the path, and that the workers can reach it") from error
        raise
    except (PySparkException, Py4JJavaError) as error:
        # A file system that does not respond, does not exist, or wants credentials.
        raise LookbookError(f"cannot read {source}: {reason(error)}") from error


def _listed(session: SparkSession, paths: list[str]) -> DataFrame:
    """Files, and the images in folders, listed by the workers so that the driver does not hold every path."""
    parts = [(_readable(path), recursive) for path, recursive in _split(paths)]
    table = session.createDataFrame(parts, "path string, recursive boolean")
    return table.repartition(min(len(parts), _LISTING_TASKS)).mapInArrow(_list, "path string")


def _split(paths: list[str]) -> Iterator[tuple[str, bool]]:
    """The folders to list, enough for every worker; True means with their subfolders."""
    waiting, split = list(paths), 0
    while waiting and split + len(waiting) < _LISTING_TASKS:
        path = waiting.pop(0)
        split += 1
        yield path, False
        if os.path.isdir(path):
            waiting += images.subfolders(path)
    for path in waiting:
        yield path, True


def _list(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for path, recursive in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            found: list[str] = []
            for image in images.in_folder(path, recursive) if os.path.isdir(path) else iter((path,)):
                found.append(image)
                if len(found) == _BATCH:
                    yield _paths(found)
                    found = []
            yield _paths(found)


def _paths(found: list[str]) -> pa.RecordBatch:
    return to_batch([{"path": _readable(path)} for path in found], _PATHS)


def _readable(path: str) -> str:
    """The path, changed if it is not UTF-8, which Spark's strings are; such a file becomes a reject."""
    return path.encode(errors="surrogateescape").decode(errors="replace")
