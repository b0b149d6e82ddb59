"""Records for people and for programs: a table, JSON Lines or CSV, each line written out at once."""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from lookbook.errors import LookbookError

Record = Mapping[str, Any]
Write = Callable[[Record], None]

CELLS = ("label", "score", "label_2", "score_2", "label_3", "score_3", "model", "version")


def writer(form: str | None, columns: tuple[str, ...], widths: Mapping[str, int]) -> Write:
    """Writes records to standard output: CSV has `columns`, a table those of `widths`, in their order."""
    if form == "json":
        return lambda record: _print(json.dumps(record))
    if form == "csv":
        _print_csv(columns)
        return lambda record: _print_csv([_flat(record).get(column, "") for column in columns])
    _print_row({name: name.replace("_", " ") for name in widths}, widths)
    return lambda record: None if "error" in record else _print_row(_readable(record), widths)


def _flat(record: Record) -> dict[str, Any]:
    flat = {name: value for name, value in record.items() if not isinstance(value, dict | list)}
    for place, entry in enumerate(record.get("top", []), 1):
        suffix = f"_{place}" if place > 1 else ""
        flat |= {f"label{suffix}": entry["label"], f"score{suffix}": entry["score"]}
    if "model" in record:
        flat |= {"model": record["model"]["name"], "version": record["model"]["version"]}
    if "error" in record:
        flat["error"] = f"{record['error']['code']}: {record['error']['message']}"
    return flat


def _readable(record: Record) -> dict[str, str]:
    others = [f"{entry['label']} {entry['score']:.0%}" for entry in record["top"][1:] if entry["score"] >= 0.005]
    return {
        **{name: str(value) for name, value in _flat(record).items()},
        "score": f"{record['score']:6.1%}",
        "created_at": str(record.get("created_at", ""))[:19].replace("T", " "),
        "others": ", ".join(others),
    }


def printable(text: str) -> str:
    """The text without what would steer a terminal or break a line."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def width_of(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    # Imported here: most names do without.
    from rich.cells import cell_len

    return cell_len(text)


def _print(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:  # a reader that has seen enough, which Click knows
        raise
    except OSError as error:
        # What is still in the buffer would fail once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise LookbookError(f"the answers can't be written: {error.strerror}") from error


def _print_csv(cells: list[Any] | tuple[str, ...]) -> None:
    line = io.StringIO()
    # Before Python 3.13 only what is in the terminator counts as a break that wants quotes.
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    _print(line.getvalue().removesuffix("\r\n"))


def _print_row(cells: Mapping[str, str], widths: Mapping[str, int]) -> None:
    texts = ((printable(cells[name]), width) for name, width in widths.items())
    _print("  ".join(text + " " * (width - width_of(text)) for text, width in texts).rstrip())
