"""Writes the pages: `make reference`."""

from tools.reference import PAGES

for path, page in PAGES.items():
    path.write_text(page())
