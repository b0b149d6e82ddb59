"""The commands of the guide, run exactly as written."""

import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from lookbook.store.sqlite import SqliteStore
from pyarrow import parquet

from tests.support.pages import DOCS, block, checkout, follow
from tests.support.places import PHOTOS
from tests.support.predictions import walk

GUIDE = DOCS / "how-to/batch.md"
COUNT = len(list(PHOTOS.glob("*.jpg")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return checkout(tmp_path)


@pytest.mark.usefixtures("java")
def test_the_guide(folder: Path) -> None:
    printed = follow(GUIDE, "job", "parquet", folder=folder)
    assert len(re.findall(rf"^classified: {COUNT}, rejected: 0", printed, re.MULTILINE)) == 2
    with closing(SqliteStore(str(folder / "lookbook.sqlite"), lambda _: None)) as store:
        assert len(walk(store, 100)) == COUNT
    assert parquet.read_table(folder / "predictions").num_rows == COUNT
    program = [sys.executable, "-c", block(GUIDE, "python query")]
    run = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=True, timeout=120)
    assert sum(int(count) for count in re.findall(r"\|\s+(\d+)\|$", run.stdout, re.MULTILINE)) == COUNT
