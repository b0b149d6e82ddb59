"""A busy neighbor: one process for each CPU that never sleeps, at the lowest priority."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lookbook.server.cpus import available_cpus

_SPIN = "import sys, time\nend = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end: pass"


@contextmanager
def busy_neighbor(seconds: float) -> Iterator[None]:
    """The processes end with the block, and by themselves after `seconds`."""
    command = ["nice", "-n", "19", sys.executable, "-c", _SPIN, str(seconds)]
    spinners = [subprocess.Popen(command) for _ in range(available_cpus())]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
