"""The processes of a Spark job: this one, which is the driver, its Java VMs, and their Python workers."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar

import pyspark

from benchmarks.peers.process_tree import processes

_P = ParamSpec("_P")
_T = TypeVar("_T")

_GONE = (FileNotFoundError, ProcessLookupError)
_ESTABLISHED = "01"
_DAEMON, _EXECUTOR, _JAVA = b"pyspark.daemon", b"CoarseGrainedExecutorBackend", b"java"


def isolated(function: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
    """Call the function in a new process, which no earlier session has warmed up."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **options).result()


@contextmanager
def spark_home() -> Iterator[None]:
    """A copy of Spark for the master `local-cluster`, whose executors write their logs into Spark's own folder."""
    with TemporaryDirectory(prefix="lookbook-spark-") as folder:
        for path in Path(pyspark.__file__).parent.iterdir():
            Path(folder, path.name).symlink_to(path)
        os.environ["SPARK_HOME"] = folder
        try:
            yield
        finally:
            del os.environ["SPARK_HOME"]


def cpu_seconds() -> float:
    """CPU time of this process and its descendants, including those that have ended and were waited for."""
    return sum(_cpu_seconds(pid) for pid in processes(os.getpid()))


def python_workers() -> list[int]:
    """Spark forks its Python workers from a daemon."""
    daemons = [pid for pid in processes(os.getpid()) if _DAEMON in _command(pid)]
    return [pid for pid in daemons if _parent(pid) in daemons]


def executors() -> list[int]:
    """Java VMs that are executors only. With the master `local`, there are none."""
    return [pid for pid in processes(os.getpid()) if _EXECUTOR in _command(pid)]


def driver() -> list[int]:
    """This process and its own Java VM."""
    return [os.getpid(), *(pid for pid in _children(os.getpid()) if _JAVA in _command(pid))]


def peak_mb(pid: int) -> float:
    """The largest resident memory that a process has had, in MB (a million bytes each)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def connections(pid: int, port: int) -> int:
    """Established TCP connections of a process to a port of any machine."""
    peers = {fields[9] for fields in _tcp() if fields[3] == _ESTABLISHED and fields[2].endswith(f":{port:04X}")}
    own: set[str] = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(*_GONE):
            own.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
    return len(peers & own)


def _tcp() -> Iterator[list[str]]:
    for name in ("tcp", "tcp6"):
        yield from (line.split() for line in Path("/proc/net", name).read_text().splitlines()[1:])


def _cpu_seconds(pid: int) -> float:
    return sum(map(int, _fields(pid)[11:15])) / os.sysconf("SC_CLK_TCK")


def _parent(pid: int) -> int:
    return int((_fields(pid) or ["0", "0"])[1])


def _fields(pid: int) -> list[str]:
    """See proc_pid_stat(5): what comes after the command, which may contain spaces."""
    with suppress(*_GONE):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def _command(pid: int) -> bytes:
    with suppress(*_GONE):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _children(pid: int) -> list[int]:
    return [int(pid) for path in Path(f"/proc/{pid}/task").glob("*/children") for pid in path.read_text().split()]
