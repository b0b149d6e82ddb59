"""Prepares the pages for the site generator: `python -m tools.website TARGET`. Needs only the standard library.

Links in the repository lead to files, as GitHub shows them. The site also includes some pages from outside
of docs/: links to those lead to the site's copy, and links to other files lead to the project's address.
"""

import os
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
# Pages that are kept beside what they are about, and where the site has them.
INCLUDED = {
    "benchmarks/README.md": "explanation/benchmarks.md",
    "charts/lookbook/README.md": "how-to/chart.md",
    "training/README.md": "explanation/training.md",
}

_LINK = re.compile(r"(?<=\]\()([^)\s:#]+)")
_BLOCK_NAME = re.compile(r"(?<=^```)(\w+) [\w-]+$", re.MULTILINE)


def pages() -> Iterator[tuple[Path, str]]:
    """Each page of the repository, and its path on the site."""
    yield from ((path, str(path.relative_to(DOCS))) for path in sorted(DOCS.rglob("*.md")))
    yield from ((ROOT / source, path) for source, path in INCLUDED.items())


def prepared(source: Path, path: str, address: str) -> str:
    """The text of a page as the site needs it; its blocks lose the names that the tests know them by."""
    text = _LINK.sub(lambda link: _target(link[1], source, path, address), source.read_text())
    return _BLOCK_NAME.sub(r"\1", text)


def _target(link: str, source: Path, path: str, address: str) -> str:
    file = (source.parent / link).resolve()
    if not file.exists():
        return link  # the generator reports it as dead
    name = str(file.relative_to(ROOT))
    if name in INCLUDED or file.is_relative_to(DOCS):
        target = INCLUDED.get(name) or os.path.relpath(file, DOCS)
        return os.path.relpath(target, os.path.dirname(path))
    return f"{address}/blob/main/{name}"


def main(target: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(DOCS, target)
    for source, path in pages():
        (target / path).write_text(prepared(source, path, project["urls"]["Homepage"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
