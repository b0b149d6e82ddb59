"""CONTRIBUTING.md names files that exist and targets that make has."""

import re

import pytest

from tests.support.places import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
FOLDERS = (ROOT, ROOT / "service/lookbook")
PATHS = sorted({path for path in re.findall(r"`([\w./<>-]+)`", TEXT) if re.search(r"/$|\.\w{2,4}$", path)})


@pytest.mark.parametrize("path", PATHS)
def test_each_path_exists(path: str) -> None:
    pattern = re.sub(r"<\w+>", "*", path).rstrip("/")
    assert any(next(folder.glob(pattern), None) for folder in FOLDERS)


def test_each_target_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = re.findall(r"^make ([a-z0-9 -]+)|`make ([a-z0-9 -]+)[`A-Z]", TEXT, re.MULTILINE)
    assert {name for found in commands for name in " ".join(found).split()} <= targets
