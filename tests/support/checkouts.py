"""Copies of the repository, for tests that change it."""

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.places import ROOT

# The last commit of version 0.1.0.
RELEASED = "e7fec56"


def tracked() -> list[Path]:
    """Files of the repository, including those that are not committed yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def copy_repository(folder: Path) -> Path:
    """A repository in `folder` with all tracked files in its index."""
    for path in tracked():
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def released(folder: Path, *paths: str) -> Path:
    """The repository as of 0.1.0, or these paths of it, in `folder`; skips the test without the history."""
    command = ["git", "archive", f"--output={folder}/archive.tar", RELEASED, *paths]
    if subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip(f"no commit {RELEASED}: fetch the whole history")
    with tarfile.open(folder / "archive.tar") as tar:
        tar.extractall(folder, filter="data")
    return folder
