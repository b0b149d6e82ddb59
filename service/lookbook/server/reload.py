"""The server started anew whenever the package's files change, for development."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_PACKAGE = Path(__file__).parent.parent
_LOOK_SECONDS = 0.5


def run(environment: Mapping[str, str]) -> NoReturn:
    """Run this command in a process of its own until told to stop; code that ends it waits for the next change."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: sys.exit(0))
    while True:
        seen = _times()
        server = subprocess.Popen([sys.executable, *sys.orig_argv[1:]], env=environment)  # noqa: S603 - this very command
        try:
            while _times() == seen:
                time.sleep(_LOOK_SECONDS)
            print("lookbook: code has changed, starting anew", file=sys.stderr)
        finally:
            server.terminate()
            server.wait()


def _times() -> dict[Path, int]:
    """When each file was written, in nanoseconds."""
    times = {}
    for path in _PACKAGE.rglob("*"):
        if path.parent.name != "__pycache__" and path.is_file():
            with suppress(FileNotFoundError):  # being replaced
                times[path] = path.stat().st_mtime_ns
    return times
