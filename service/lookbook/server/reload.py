"""Restarts the server whenever the package's files change, for development."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_PACKAGE = Path(__file__).parent.parent
_INTERVAL_SECONDS = 0.5


def run(environment: Mapping[str, str]) -> NoReturn:
    """Run this same command in a child process until told to stop. If broken code ends it, wait for the next change."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: sys.exit(0))
    while True:
        before = _modification_times()
        server = subprocess.Popen([sys.executable, *sys.orig_argv[1:]], env=environment)  # noqa: S603 - this same command
        try:
            while _modification_times() == before:
                time.sleep(_INTERVAL_SECONDS)
            print("lookbook: code has changed; restarting", file=sys.stderr)
        finally:
            server.terminate()
            server.wait()


def _modification_times() -> dict[Path, int]:
    """When each file was last written, in nanoseconds."""
    times = {}
    for path in _PACKAGE.rglob("*"):
        if path.parent.name != "__pycache__" and path.is_file():
            with suppress(FileNotFoundError):  # an editor is replacing it
                times[path] = path.stat().st_mtime_ns
    return times
