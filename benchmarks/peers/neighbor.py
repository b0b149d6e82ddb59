"""A busy neighbor: one process for each CPU that never sleeps, at the lowest priority."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lookbook.server.cpus import available_cpus

_LOWEST = 19
_SPIN = "import sys, time\nend = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end: pass"


@contextmanager
def busy_neighbor(seconds: float) -> Iterator[None]:
    """The processes end with the block, and by themselves after `seconds`."""
    command = ["nice", "-n", str(_LOWEST), sys.executable, "-c", _SPIN, str(seconds)]
    spinners = [subprocess.Popen(command, start_new_session=True) for _ in range(available_cpus())]
    try:
        for spinner in spinners:
            # Linux may share the CPU among sessions first: then a process's own nice value counts in its session only.
            with suppress(FileNotFoundError):
                Path(f"/proc/{spinner.pid}/autogroup").write_text(str(_LOWEST))
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
