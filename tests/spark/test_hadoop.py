"""A job on S3, and one on YARN. Only `make hadoop` runs them, because they download 0.8 GB."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyspark
import pytest
import requests

from tests.support.commands import SOURCES
from tests.support.hdfs import configure, hdfs, running
from tests.support.maven import jars
from tests.support.places import BAG, MLP, PHOTOS, ROOT
from tests.support.running import free_port, until

IMAGES = sorted(PHOTOS.glob("*.jpg"))
SPARK_JARS = Path(pyspark.__file__).parent / "jars"


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[str]:
    """The URL of an S3 server with a bucket `shop` of images, one of them broken."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "moto.log").open("w") as log:
        server = subprocess.Popen(
            [ROOT / "build/moto/bin/moto_server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
        )
    try:
        until(lambda: responds(url), 60)
        requests.put(f"{url}/shop", timeout=60).raise_for_status()
        for name, content in files().items():
            requests.put(f"{url}/shop/images/{name}", content, timeout=60).raise_for_status()
        yield url
    finally:
        server.terminate()
        server.wait(30)


def files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in IMAGES} | {"more/broken.png": BAG.read_bytes()[:60]}


def responds(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def classify(*arguments: str, **environment: object) -> str:
    """What `lookbook batch classify` prints."""
    command = [sys.executable, "-m", "lookbook", "batch", "classify", *arguments]
    given = {name: str(value) for name, value in environment.items()}
    ended = subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def conf(settings: Mapping[str, object]) -> list[str]:
    return [f"--conf={key}={value}" for key, value in settings.items()]


@pytest.mark.usefixtures("java")
def test_a_job_reads_from_and_writes_to_s3(s3: str) -> None:
    settings = {
        "spark.master": "local[2]",
        "spark.jars": ",".join(map(str, jars("hadoop-aws", seconds=1_800).glob("*.jar"))),
        "spark.hadoop.fs.s3a.endpoint": s3,
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.access.key": "any",
        "spark.hadoop.fs.s3a.secret.key": "any",
    }
    arguments = ("s3a://shop/images", "--parquet", "s3a://shop/out", "--bundle", str(MLP), *conf(settings))
    assert f"classified: {len(IMAGES)}, rejected: 1, in" in classify(*arguments)
    again = classify(*arguments)
    assert f"classified by an earlier run: {len(IMAGES) + 1}" in again
    assert "classified: 0, rejected: 0, in" in again


@contextmanager
def yarn(folder: Path) -> Iterator[str]:
    """A ResourceManager and a NodeManager, with the configuration of an HDFS in the folder; the URL of their state."""
    manager, node = "yarn.resourcemanager", "yarn.nodemanager"
    web = f"127.0.0.1:{free_port()}"
    addresses = ("address", "scheduler.address", "resource-tracker.address", "admin.address")
    configure(
        folder,
        yarn={
            **{f"{manager}.{name}": f"127.0.0.1:{free_port()}" for name in addresses},
            f"{manager}.webapp.address": web,
            f"{manager}.scheduler.class": "org.apache.hadoop.yarn.server.resourcemanager.scheduler.fifo.FifoScheduler",
            **{f"{node}.{name}address": f"127.0.0.1:{free_port()}" for name in ("", "localizer.", "webapp.")},
            f"{node}.local-dirs": folder / "local",
            f"{node}.log-dirs": folder / "containers",
            f"{node}.resource.memory-mb": 4096,
            f"{node}.vmem-check-enabled": "false",
            f"{node}.disk-health-checker.max-disk-utilization-per-disk-percentage": 99,
            "yarn.scheduler.minimum-allocation-mb": 256,
        },
    )
    encryption = jars("bcpkix-jdk18on", "org.bouncycastle", "1.82")
    libraries = [f"{encryption}/*", *SPARK_JARS.glob("log4j-[1ac]*.jar")]
    url = f"http://{web}/ws/v1/cluster"
    with running(folder, ["yarn.server.resourcemanager.ResourceManager"], libraries):
        until(lambda: responds(f"{url}/metrics"), 240)
        # Only now: connecting to a port where nothing listens yet could take this port.
        with running(folder, ["yarn.server.nodemanager.NodeManager"], libraries):
            until(lambda: metrics(url)["activeNodes"] == 1, 240)
            yield url


def metrics(url: str) -> dict[str, int]:
    found: dict[str, int] = requests.get(f"{url}/metrics", timeout=5).json()["clusterMetrics"]
    return found


@pytest.mark.usefixtures("java")
def test_a_job_runs_on_yarn(tmp_path: Path) -> None:
    with hdfs(tmp_path) as root, yarn(tmp_path) as url:
        settings = {
            "spark.master": "yarn",
            "spark.driver.host": "127.0.0.1",
            "spark.executor.instances": 1,
            "spark.executor.memory": "512m",
            "spark.yarn.am.memory": "512m",
            "spark.yarn.jars": f"local:{SPARK_JARS}/*",
            "spark.executorEnv.PYTHONPATH": SOURCES,
        }
        target = f"{root}/predictions"
        printed = classify(
            str(PHOTOS), "--parquet", target, "--bundle", str(MLP), *conf(settings), HADOOP_CONF_DIR=tmp_path / "conf"
        )
        assert f"classified: {len(IMAGES)}, rejected: 0, in" in printed
        assert metrics(url)["appsCompleted"] == 1
