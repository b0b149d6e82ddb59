"""A CSV file of judgments. Tests: tests/unit/test_review.py."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from lookbook.errors import LookbookError

MAX_LABEL = 100  # characters
_REST = "\n"  # the name for cells without a column
_DELIMITERS = (",", ";", "\t")  # spreadsheets write semicolons where numbers have commas

Refused = list[tuple[int, str]]  # numbers of lines, and why


@dataclass(frozen=True, slots=True)
class Line:
    """One judgment; `label` is None if it is unclear."""

    number: int
    id: str
    label: str | None

    def to_json(self) -> dict[str, str]:
        return {"verdict": "unclear"} if self.label is None else {"label": self.label}


def read_judgments(file: Path) -> tuple[list[Line], int, Refused]:
    """The judgments, the number of lines without one, and the lines that cannot be used. Raises LookbookError."""
    lines: dict[str, Line] = {}
    empty, refused = 0, Refused()
    for number, row in _rows(file):
        label, verdict = ((row.get(name) or "").strip() for name in ("label", "verdict"))
        if not label and not verdict:
            empty += 1
            continue
        try:
            if any(row.get(_REST) or ()):
                raise ValueError("it has more cells than the first line; put quotes around a label with a comma")
            line = Line(number, _id(row.get("id") or ""), _label(label, verdict))
            if line.id in lines:
                raise ValueError(f"line {lines[line.id].number} has the same ID")
            lines[line.id] = line
        except ValueError as error:
            refused.append((number, str(error)))
    return list(lines.values()), empty, refused


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    """Numbers of lines, and their cells by column."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            head = opened.readline()
            opened.seek(0)
            rows = csv.DictReader(opened, delimiter=max(_DELIMITERS, key=head.count), restkey=_REST, strict=True)
            if missing := {"id", "label"} - set(rows.fieldnames or ()):
                raise LookbookError(f"{file}: it has no column {' and no column '.join(sorted(missing))}")
            for row in rows:
                yield rows.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LookbookError(f"{file}: cannot read it as CSV in UTF-8: {error}") from error


def _id(text: str) -> str:
    try:
        return str(UUID(text.strip()))
    except ValueError:
        raise ValueError(f"{text!r} is not the ID of a prediction") from None


def _label(label: str, verdict: str) -> str | None:
    if verdict not in ("", "unclear"):
        raise ValueError(f"the verdict {verdict!r} must be unclear or empty")
    if label and verdict:
        raise ValueError("it has both a label and a verdict")
    if len(label) > MAX_LABEL or not (label.isprintable()):
        raise ValueError(f"a label must have at most {MAX_LABEL} characters, none of them unprintable")
    return label or None
