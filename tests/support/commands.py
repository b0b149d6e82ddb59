"""The `lookbook` command as a process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.places import ROOT

LOOKBOOK = (sys.executable, "-m", "lookbook")
# PYTHONPATH for `lookbook` and `tests`, whichever copy of Lookbook is installed.
SOURCES = f"{ROOT / 'service'}:{ROOT}"


def lookbook(
    *arguments: object, input: bytes = b"", cwd: Path = ROOT, **environment: object
) -> "subprocess.CompletedProcess[str]":
    """The command once it has ended, with no environment variables but these and PATH."""
    base = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES}
    ended = subprocess.run(
        [*LOOKBOOK, *map(str, arguments)],
        input=input,
        env={**base, **{name: str(value) for name, value in environment.items()}},
        cwd=cwd,
        capture_output=True,
        timeout=120,
    )
    return subprocess.CompletedProcess(ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
