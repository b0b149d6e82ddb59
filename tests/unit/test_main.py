import re
import subprocess
from pathlib import Path

import pytest
from lookbook import __version__

from tests.support.commands import LOOKBOOK, lookbook
from tests.support.places import ROOT


def test_the_version() -> None:
    assert lookbook("--version").stdout == f"lookbook, version {__version__}\n"


def test_an_error_is_one_line_and_its_exit_code() -> None:
    ended = lookbook("serve", LOOKBOOK_STORE="mysql")
    assert ended.returncode == 2
    assert ended.stderr == "lookbook: LOOKBOOK_STORE=mysql: must be sqlite or cassandra\n"


COMMANDS = [
    "",
    "backup",
    "classify",
    "completion",
    "export",
    "history",
    "import",
    "model",
    "model build",
    "model list",
    "model publish",
    "restore",
    "schema",
]


@pytest.mark.parametrize("command", [*COMMANDS, "serve"])
def test_help_fits_a_terminal_of_80_columns(command: str) -> None:
    ended = lookbook(*command.split(), "--help", COLUMNS=80)
    assert ended.returncode == 0
    assert [line for line in ended.stdout.splitlines() if len(line) > 80 or re.match("  .*[.]{3}$", line)] == []


def test_help_imports_nothing_slow() -> None:
    code = """
import sys
sys.argv = ["lookbook", "--help"]
from lookbook.cli.main import main
try:
    main()
finally:
    slow = {"cassandra", "flask", "gunicorn", "keras", "kubernetes", "numpy", "PIL", "requests", "rich", "tensorflow"}
    assert not slow & sys.modules.keys(), slow & sys.modules.keys()
"""
    subprocess.run([LOOKBOOK[0], "-c", code], cwd=ROOT, check=True, capture_output=True, timeout=60)


def test_every_command_is_listed(tmp_path: Path) -> None:
    text = lookbook("--help", cwd=tmp_path).stdout
    assert all(f"\n  {command} " in text for command in COMMANDS if command and " " not in command)
