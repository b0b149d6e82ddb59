"""Pieces of Markdown."""

from collections.abc import Iterable, Sequence
from html import escape


def heading(title: str, source: str, about: str) -> str:
    """The beginning of a page that is made from the file `source`."""
    return f"# {title}\n\n<!-- Made from {source} by `make reference`: change it there. -->\n\n{about}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are Markdown without `|`."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def code(text: str) -> str:
    """`text` as code, also in a table; nothing for nothing."""
    if "|" in text:
        return f"<code>{plain(text)}</code>"
    return f"`{text}`" if text else ""


def plain(text: str) -> str:
    """Text for a terminal in one line, without anything that Markdown would take for a tag or a table's cell."""
    return escape(" ".join(text.split()), quote=False).replace("|", "&#124;")
