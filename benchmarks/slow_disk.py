"""Measures predictions per second on a disk that is slow to flush: `python -m benchmarks.slow_disk`.

A library that is loaded before the C library delays each flush of the service.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks import table
from benchmarks.cases import SMALL
from benchmarks.errors import BenchmarkError
from benchmarks.load import drive, write_body
from benchmarks.machine import machine
from benchmarks.server import serve

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int delayed(const char *name, int fd) {
    usleep(atoi(getenv("FLUSH_MICROSECONDS")));
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}
int fsync(int fd) { return delayed("fsync", fd); }
int fdatasync(int fd) { return delayed("fdatasync", fd); }
"""


@contextmanager
def slow_flushes(milliseconds: int) -> Iterator[Mapping[str, str]]:
    """Environment variables that make each flush of a process take longer."""
    compiler = shutil.which("cc")
    if not compiler:
        raise BenchmarkError("there is no C compiler; on Debian: apt install gcc")
    with tempfile.TemporaryDirectory(prefix="lookbook-flush-") as folder:
        source, library = Path(folder, "flush.c"), Path(folder, "flush.so")
        source.write_text(_SOURCE)
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        yield {"LD_PRELOAD": str(library), "FLUSH_MICROSECONDS": str(milliseconds * 1000)}


def _rate(milliseconds: int, seconds: int) -> str:
    """Predictions per second, or which requests failed."""
    with slow_flushes(milliseconds) as delay, tempfile.TemporaryDirectory(prefix="lookbook-bench-") as folder:
        body = write_body(SMALL.image, Path(folder, "body"))
        settings = {
            "LOOKBOOK_SQLITE_PATH": f"{folder}/lookbook.sqlite",
            "LOOKBOOK_MODEL": str(SMALL.model),
            "LOOKBOOK_THUMBNAILS": "false",
        }
        with serve({**settings, **delay}, Path(folder, "log")) as server:
            try:
                load = drive(server.url, body, seconds)
            except BenchmarkError as error:
                return str(error)
    return f"{load.requests / load.seconds:,.0f} (p99 {load.p99:.0f} ms)"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slow_disk", description=__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="duration of each measurement (default: 8)")
    options = parser.parse_args()
    try:
        print(f"{machine()}\n")
        table.head(("flush takes longer by", "predictions/s, 8 connections"), texts=2)
        for milliseconds in (0, 1, 10, 50):
            table.row((f"{milliseconds} ms", _rate(milliseconds, options.seconds)))
    except BenchmarkError as error:
        print(f"slow_disk: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
