"""The documentation as a website, as `make docs` builds it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.requirements import lacking

ZENSICAL = ROOT / ".venv-docs/bin/zensical"


def build(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(ZENSICAL), "build", "--clean", "--strict"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which the generator finds its configuration and the prepared pages."""
    if not ZENSICAL.exists():
        lacking("no .venv-docs: make it with `make docs`", "DOCS")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    subprocess.run([sys.executable, "-m", "tools.website", tmp_path / "build/docs"], cwd=ROOT, check=True)
    return tmp_path


def test_it_builds_and_loads_nothing_from_elsewhere(folder: Path) -> None:
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = sorted((folder / "site").rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?([^\" >]+)", page.read_text())
        assert not [address for address in loaded if "//" in address], page


@pytest.mark.parametrize("link", ["nowhere.md", "settings.md#nowhere", "#nowhere"])
def test_a_dead_link_fails_it(folder: Path, link: str) -> None:
    with (folder / "build/docs/reference/http.md").open("a") as page:
        page.write(f"\n[dead]({link})\n")
    done = build(folder)
    assert done.returncode != 0
    assert "does not exist" in done.stdout + done.stderr


def test_every_page_is_in_the_navigation(folder: Path) -> None:
    listed = re.findall(r"^ +- ([\w/-]+\.md)$", (folder / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = folder / "build/docs"
    assert sorted(listed) == sorted(str(path.relative_to(pages)) for path in pages.rglob("*.md"))
