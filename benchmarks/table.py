"""A Markdown table on standard output, printed row by row as the figures are measured."""

from collections.abc import Iterable


def head(names: Iterable[str], texts: int) -> None:
    """Print the names of the columns; the first `texts` of them contain text, the others numbers."""
    names = tuple(names)
    row(names)
    row("---" if number < texts else "--:" for number in range(len(names)))


def row(cells: Iterable[str]) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)
