"""The benchmark of batch jobs: what it counts, and that its own page names every measurement."""

import os
import re
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("pyspark")

from benchmarks import spark, spark_processes
from benchmarks.cases import SMALL
from benchmarks.spark_images import PlainLoop, make_images
from tests.support.places import ROOT


def _burn() -> None:
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass


def test_cpu_time_includes_processes_that_have_ended() -> None:
    before = spark_processes.cpu_seconds()
    spark_processes.isolated(_burn)
    assert spark_processes.cpu_seconds() - before >= 0.2


def test_connections_are_counted_by_process_and_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        assert spark_processes.connections(os.getpid(), port) == 0
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            assert spark_processes.connections(os.getpid(), port) == 1
            assert spark_processes.connections(os.getpid(), port + 1) == 0


def _is_alone() -> bool:
    others = spark_processes.executors() + spark_processes.python_workers()
    return spark_processes.driver() == [os.getpid()] and not others


def test_without_spark_only_the_driver_runs() -> None:
    assert spark_processes.isolated(_is_alone)  # this process may have the session of other tests
    assert spark_processes.peak_mb(os.getpid()) > 1


def test_the_plain_loop_classifies_every_image(tmp_path: Path) -> None:
    source = make_images(tmp_path / "images", SMALL, 1_001)
    assert sum(path.is_file() for path in source.rglob("*.png")) == 1_001
    with closing(PlainLoop(SMALL.model, 1)) as plain:
        assert all(figure > 0 for figure in plain.run(source))


def test_the_page_names_every_measurement() -> None:
    page = (ROOT / "benchmarks/README.md").read_text()
    section = page.partition("## What batch jobs cost\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(spark.MEASURES)
