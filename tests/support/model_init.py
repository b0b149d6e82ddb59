"""The commands of model-init as processes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.places import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'model-init'}:{ROOT / 'service'}", "PYTHONWARNINGS": "error"}
COMMAND = [sys.executable, "-m", "model_init"]


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)


def start(*arguments: object, **options: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*COMMAND, *map(str, arguments)], env=ENVIRONMENT, **options)


def files(folder: Path) -> dict[str, bytes]:
    """The content of each file in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
