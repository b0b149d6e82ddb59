"""A real HDFS on 127.0.0.1: a NameNode and a DataNode, from one artifact of Maven."""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

from tests.support.places import ROOT
from tests.support.requirements import lacking
from tests.support.running import free_port, until

JARS = ROOT / "build/hdfs"
READY_SECONDS = 60

_POM = """
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>lookbook</groupId><artifactId>hdfs</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.apache.hadoop</groupId><artifactId>hadoop-client-minicluster</artifactId><version>3.5.0</version>
  </dependency></dependencies>
</project>
"""
_SERVERS = ("namenode.NameNode", "datanode.DataNode")


@contextmanager
def hdfs(folder: Path) -> Iterator[str]:
    """The URL of an empty file system whose data are in `folder`; skips the test where Maven is missing."""
    _fetch()
    namenode, web = free_port(), free_port()
    _configure(
        folder,
        {"fs.defaultFS": f"hdfs://127.0.0.1:{namenode}", "hadoop.tmp.dir": str(folder / "data")},
        {
            "dfs.replication": "1",
            "dfs.permissions.enabled": "false",
            "dfs.namenode.http-address": f"127.0.0.1:{web}",
            "dfs.datanode.hostname": "127.0.0.1",
            **{f"dfs.datanode.{name}address": f"127.0.0.1:{free_port()}" for name in ("", "http.", "ipc.")},
        },
    )
    _java(folder, "namenode.NameNode", "-format", "-nonInteractive").wait(READY_SECONDS)
    started = [_java(folder, name) for name in _SERVERS]
    try:
        until(lambda: _live_nodes(web), READY_SECONDS)
        yield f"hdfs://127.0.0.1:{namenode}"
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


def _fetch() -> None:
    if shutil.which("mvn") is None:
        lacking("HDFS needs Maven, and there is no mvn on the PATH", "SPARK")
    if not JARS.exists():
        JARS.parent.mkdir(exist_ok=True)
        pom = JARS.parent / "hdfs-pom.xml"
        pom.write_text(_POM)
        fetching = JARS.with_suffix(".part")
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={fetching}", "-DincludeScope=runtime"]
        run = subprocess.run(["mvn", "-q", "-B", "-f", pom, *goal], capture_output=True, text=True, timeout=600)
        if run.returncode:
            lacking(f"Maven cannot fetch HDFS: {run.stdout.strip().splitlines()[:1]}", "SPARK")
        fetching.rename(JARS)


def _configure(folder: Path, core: Mapping[str, str], servers: Mapping[str, str]) -> None:
    (folder / "conf").mkdir(parents=True)
    for name, properties in (("core", core), ("hdfs", servers)):
        text = "".join(
            f"<property><name>{key}</name><value>{escape(value)}</value></property>"
            for key, value in properties.items()
        )
        (folder / f"conf/{name}-site.xml").write_text(f"<configuration>{text}</configuration>")


def _java(folder: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = ["java", "-Xmx256m", "-cp", f"{folder}/conf:{JARS}/*", f"org.apache.hadoop.hdfs.server.{name}"]
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen([*command, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _live_nodes(web: int) -> int:
    query = "jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{web}/{query}", timeout=5) as response:
            return int(json.load(response)["beans"][0]["NumLiveDataNodes"])
    except (OSError, IndexError):
        return 0
