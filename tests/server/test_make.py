"""`make` in a fresh checkout."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lookbook
import pytest

from tests.support.checkouts import copy_repository
from tests.support.places import PHOTOS
from tests.support.requirements import lacking


def run(*command: object, cwd: Path) -> str:
    """Standard output; raises CalledProcessError."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LOOKBOOK_", "MAKE"))}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=kept,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    ).stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which `make` has run."""
    folder = copy_repository(tmp_path_factory.mktemp("checkout"))
    try:
        run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest=build", "setuptools", cwd=folder)
    except subprocess.CalledProcessError:
        lacking("pip finds no packages: it needs an index or a mirror")
    printed = run("make", f"PYTHON={sys.executable}", cwd=folder)
    assert ".venv/bin/lookbook classify tests/data/photos/shirt.jpg" in printed
    return folder


@pytest.mark.parametrize("command", [[".venv/bin/lookbook"], [".venv/bin/python", "-m", "lookbook"]])
def test_the_command_works_in_both_spellings(checkout: Path, command: list[str]) -> None:
    assert lookbook.__version__ in run(*command, "--version", cwd=checkout)


def test_an_image_is_classified(checkout: Path) -> None:
    printed = run(".venv/bin/lookbook", "classify", "--json", PHOTOS / "hat.jpg", cwd=checkout)
    assert json.loads(printed)["label"] == "Hat"


def test_the_environment_is_made_once(checkout: Path) -> None:
    assert "pip" not in run("make", "--dry-run", "run", cwd=checkout)


def test_help_explains_every_target(checkout: Path) -> None:
    listed = {line.split("\t")[0] for line in run("make", "help", cwd=checkout).splitlines()}
    phony = (checkout / "Makefile").read_text().partition(".PHONY:")[2].partition("\n\n")[0]
    assert listed == set(phony.replace("\\", "").split())
