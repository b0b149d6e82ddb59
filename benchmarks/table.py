"""A Markdown table on standard output, printed line by line as its numbers come."""

from collections.abc import Iterable


def head(names: Iterable[str], texts: int) -> None:
    """The names of the columns, of which the first `texts` hold text and the others numbers."""
    names = tuple(names)
    row(names)
    row("---" if number < texts else "--:" for number in range(len(names)))


def row(cells: Iterable[str]) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)
