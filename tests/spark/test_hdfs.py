"""Images on a real HDFS, and predictions written to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lookbook.errors import LookbookError
from lookbook.model.bundle import Bundle
from lookbook.settings import Settings
from lookbook.spark.batch import Run
from lookbook.spark.source import read_source
from pyspark.sql import SparkSession

from tests.support.hdfs import hdfs
from tests.support.places import BAG, GOLDEN, MLP


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, session: SparkSession) -> Iterator[str]:
    """A folder on HDFS with images in it and in a folder below, and one broken image."""
    folder = tmp_path_factory.mktemp("hdfs")
    broken = folder / "broken.png"
    broken.write_bytes(BAG.read_bytes()[:60])
    with hdfs(folder) as root:
        hadoop = session.sparkContext._jvm.org.apache.hadoop  # type: ignore[union-attr]
        target = hadoop.fs.Path(f"{root}/images")
        system = target.getFileSystem(session.sparkContext._jsc.hadoopConfiguration())
        for number, path in enumerate([*GOLDEN, broken]):
            place = f"{root}/images/{'more/' if number % 2 else ''}{path.name}"
            system.copyFromLocalFile(hadoop.fs.Path(str(path)), hadoop.fs.Path(place))
        yield f"{root}/images"
        system.close()


def test_images_are_read_from_and_predictions_written_to_hdfs(
    url: str, session: SparkSession, bundle: Bundle, tmp_path: Path
) -> None:
    run = Run(session, Settings(sqlite_path=str(tmp_path / "store.sqlite")), bundle, MLP, None)
    images = read_source(session, url)
    assert images.count() == len(GOLDEN) + 1
    target = f"{url}-out"
    summary = run.table(images, len(GOLDEN) + 1, target, lambda counts: None)
    assert (summary.labels.total(), summary.rejects) == (len(GOLDEN), 1)
    rows = session.read.parquet(target).collect()
    assert {row.path for row in rows} == {row.path for row in images.select("path").collect()}
    (reject,) = [row for row in rows if row.outcome == "rejects"]
    assert reject.path.endswith("/broken.png")


def test_a_missing_folder_is_named(url: str, session: SparkSession) -> None:
    with pytest.raises(LookbookError, match="nowhere not found"):
        read_source(session, f"{url}/nowhere")


def test_a_name_node_that_does_not_respond_is_named(session: SparkSession) -> None:
    with pytest.raises(LookbookError, match=r"cannot read hdfs://127\.0\.0\.1:1/images"):
        read_source(session, "hdfs://127.0.0.1:1/images")
