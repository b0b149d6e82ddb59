"""A real HDFS on 127.0.0.1: a NameNode and a DataNode, from one artifact of Maven."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

from tests.support.maven import jars
from tests.support.running import free_port, until

READY_SECONDS = 60

_ARTIFACT = "hadoop-client-minicluster"
_SERVERS = ("hdfs.server.namenode.NameNode", "hdfs.server.datanode.DataNode")


@contextmanager
def hdfs(folder: Path) -> Iterator[str]:
    """The URL of an empty file system whose data are in `folder`; skips the test where Maven is missing."""
    jars(_ARTIFACT)
    namenode, web = free_port(), free_port()
    configure(
        folder,
        core={"fs.defaultFS": f"hdfs://127.0.0.1:{namenode}", "hadoop.tmp.dir": str(folder / "data")},
        hdfs={
            "dfs.replication": "1",
            "dfs.permissions.enabled": "false",
            "dfs.namenode.http-address": f"127.0.0.1:{web}",
            "dfs.datanode.hostname": "127.0.0.1",
            **{f"dfs.datanode.{name}address": f"127.0.0.1:{free_port()}" for name in ("", "http.", "ipc.")},
        },
    )
    java(folder, _SERVERS[0], "-format", "-nonInteractive").wait(READY_SECONDS)
    with running(folder, _SERVERS):
        until(lambda: _live_nodes(web), READY_SECONDS)
        yield f"hdfs://127.0.0.1:{namenode}"


@contextmanager
def running(folder: Path, names: Sequence[str], libraries: Sequence[object] = ()) -> Iterator[None]:
    """Servers of Hadoop with the configuration in the folder; `libraries` are what their artifact lacks."""
    started = [java(folder, name, libraries=libraries) for name in names]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:  # a server that waits for another one
                process.kill()
                process.wait(30)


def configure(folder: Path, **files: Mapping[str, object]) -> None:
    """Write properties to the files core-site.xml, hdfs-site.xml, and so on."""
    (folder / "conf").mkdir(parents=True, exist_ok=True)
    for name, properties in files.items():
        text = "".join(
            f"<property><name>{key}</name><value>{escape(str(value))}</value></property>"
            for key, value in properties.items()
        )
        (folder / f"conf/{name}-site.xml").write_text(f"<configuration>{text}</configuration>")


def java(folder: Path, name: str, *arguments: str, libraries: Sequence[object] = ()) -> subprocess.Popen[bytes]:
    """A program of Hadoop, which logs to a file of its name."""
    classpath = ":".join(map(str, (f"{folder}/conf", f"{jars(_ARTIFACT)}/*", *libraries)))
    command = ["java", "-Xmx256m", "-cp", classpath, f"org.apache.hadoop.{name}", *arguments]
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _live_nodes(web: int) -> int:
    query = "jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{web}/{query}", timeout=5) as response:
            return int(json.load(response)["beans"][0]["NumLiveDataNodes"])
    except (OSError, IndexError):
        return 0
