"""Results as a table, JSON Lines, or CSV, each line flushed at once, and messages to standard error."""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lookbook.errors import LookbookError

# A prediction, or the error of one image, as JSON.
Result = Mapping[str, Any]
Write = Callable[[Result], None]

# What begins a formula, also as a full-width character, which spreadsheets in Japanese and Chinese accept.
_FORMULA_MARKS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"

CELLS = ("label", "score", "label_2", "score_2", "label_3", "score_3", "model", "version")


def writer(form: str | None, columns: tuple[str, ...], widths: Mapping[str, int]) -> Write:
    """Writes results to standard output; `columns` are those of CSV, `widths` those of a table."""
    if form == "json":
        return lambda result: _print(json.dumps(result))
    if form == "csv":
        _print_csv(columns)
        return lambda result: _print_csv([_flat(result).get(column, "") for column in columns])
    _print_row({name: name.replace("_", " ") for name in widths}, widths)
    return lambda result: None if "error" in result else _print_row(_readable(result), widths)


def _flat(result: Result) -> dict[str, Any]:
    flat = {name: value for name, value in result.items() if not isinstance(value, dict | list)}
    for place, entry in enumerate(result.get("top", []), 1):
        suffix = f"_{place}" if place > 1 else ""
        flat |= {f"label{suffix}": entry["label"], f"score{suffix}": entry["score"]}
    if "model" in result:
        flat |= {"model": result["model"]["name"], "version": result["model"]["version"]}
    if "error" in result:
        flat["error"] = f"{result['error']['code']}: {result['error']['message']}"
    return flat


def _readable(result: Result) -> dict[str, str]:
    others = [f"{entry['label']} {entry['score']:.0%}" for entry in result["top"][1:] if entry["score"] >= 0.005]
    return {
        **{name: str(value) for name, value in _flat(result).items()},
        "score": f"{result['score']:6.1%}",
        "created_at": local_time(result["created_at"]) if "created_at" in result else "",
        "others": ", ".join(others),
    }


def local_time(text: str) -> str:
    """A time in RFC 3339 as local time with its offset, to the second, which --since and --until accept."""
    return datetime.fromisoformat(text).astimezone().isoformat(" ", "seconds")


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table whose columns are as wide as needed."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        _print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def prepare_streams() -> None:
    """Make standard output and standard error safe for any text, and open them if the caller has closed them."""
    for number, name in enumerate(("stdout", "stderr"), 1):
        if getattr(sys, name) is None:
            # Otherwise the next file opened would get its number.
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, open(number, "w"))  # noqa: SIM115
        # A file name may have characters that the terminal's encoding lacks.
        getattr(sys, name).reconfigure(errors="backslashreplace")


def complain(message: str) -> None:
    """Print a message to standard error, as one line."""
    # Not click.echo(): it would write past the progress bar.
    print(f"lookbook: {printable(message)}", file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """The text without characters that control a terminal or break a line."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def width_of(text: str) -> int:
    """Number of terminal columns that the text takes."""
    if text.isascii():
        return len(text)
    # Imported here: most names do not need it.
    from rich.cells import cell_len

    return cell_len(text)


def _print(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:  # the reader has closed the pipe; Click handles it
        raise
    except OSError as error:
        # Otherwise the rest of the buffer would fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise LookbookError(f"cannot write the output: {error.strerror}") from error


def _print_csv(cells: list[Any] | tuple[str, ...]) -> None:
    line = io.StringIO()
    # Before Python 3.13, only characters of the line terminator count as line breaks that need quotes.
    csv.writer(line, lineterminator="\r\n").writerow([_inert(cell) for cell in cells])
    _print(line.getvalue().removesuffix("\r\n"))


def _inert(cell: Any) -> Any:
    """A text that no spreadsheet runs as a formula. Source: OWASP, "CSV Injection"."""
    return f"'{cell}" if isinstance(cell, str) and len(cell) > 1 and cell[0] in _FORMULA_MARKS else cell


def _print_row(cells: Mapping[str, str], widths: Mapping[str, int]) -> None:
    texts = ((printable(cells[name]), width) for name, width in widths.items())
    _print("  ".join(text + " " * (width - width_of(text)) for text, width in texts).rstrip())
