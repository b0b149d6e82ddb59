"""Writes a new version wherever a tool or a reader needs it as a literal: `make release VERSION=1.2.3`."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = "service/lookbook/__init__.py"
CHANGELOG = "CHANGELOG.md"
VERSION = r"\d+\.\d+\.\d+"
# The text before the version: in these files, and as a tag of our container images in any other.
BEFORE = {
    SOURCE: r'__version__ = "',
    "charts/lookbook/Chart.yaml": r"(?:\nversion|\nappVersion): ",
    "Dockerfile": r"ARG VERSION=",
    "model-init/Dockerfile": r"ARG VERSION=",
    "spark/Dockerfile": r"ARG VERSION=",
}
IMAGE = r"\blookbook(?:-model-init|-spark)?:"
# Their versions are history.
SKIPPED = {CHANGELOG, "tests/chart/values-0.1.0.yaml"}


def literals() -> Iterator[tuple[Path, re.Pattern[str], list[str]]]:
    """Each tracked file that has the version, the pattern of the text before it, and the versions found."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in sorted({*names.splitlines(), *BEFORE} - SKIPPED):
        path, pattern = ROOT / name, re.compile(f"({BEFORE.get(name, IMAGE)})({VERSION})")
        found = [match[2] for match in pattern.finditer(_text(path))]
        if found:
            yield path, pattern, found


def release(version: str) -> None:
    """Write the version, and open its section of the changelog."""
    for path, pattern, _ in list(literals()):
        path.write_text(pattern.sub(rf"\g<1>{version}", path.read_text()))
    changelog = ROOT / CHANGELOG
    text = changelog.read_text()
    if f"\n## [{version}]" not in text:
        heading = f"## [Unreleased]\n\n## [{version}] - {date.today()}\n"
        changelog.write_text(text.replace("## [Unreleased]\n", heading, 1))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


if __name__ == "__main__":
    if len(sys.argv) != 2 or not re.fullmatch(VERSION, sys.argv[1]):
        sys.exit("release: give the new version, as in `make release VERSION=1.2.3`")
    release(sys.argv[1])
