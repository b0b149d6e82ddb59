"""The tables, and the page of the documentation that contains them."""

import dataclasses
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.peers.measuring import Figures
from benchmarks.peers.peers import FLASK, ROOT
from benchmarks.peers.stall import Fault, Outcome

PAGE = ROOT / "docs/explanation/compared-with-others.md"

_COLUMNS = {
    "cpu": ("CPU ms", "{:.2f}"),
    "rate": ("requests/s", "{:,.0f}"),
    "p50": ("p50 ms", "{:.1f}"),
    "p99": ("p99 ms", "{:.1f}"),
    "open_p50": ("p50 ms at half rate", "{:.1f}"),
    "open_p99": ("p99 ms at half rate", "{:.1f}"),
    "open_failed": ("failed at half rate", "{:.1%}"),
    "switches": ("context switches", "{:.1f}"),
    "memory": ("memory, MB", "{:.0f}"),
    "ready_seconds": ("ready s", "{:.1f}"),
}

_STALL_COLUMNS = (
    "",
    "its sink or store",
    "accepted",
    "accepted, but without a record",
    "recorded, but not accepted",
    "memory before, MB",
    "peak, MB",
    "not accepted",
)


def costs(runs: Mapping[str, Sequence[Figures | None]]) -> Iterator[str]:
    """Lines of the table of what a request costs, by name of the peer."""
    yield from head(["", "CPU, share of Flask's", *(name for name, _ in _COLUMNS.values())])
    for name, figures in runs.items():
        yield row([name, _share(figures, runs.get(FLASK, ())), *(_cell(column, figures) for column in _COLUMNS)])


def behavior(found: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Lines of the table of what peers do: with a text file, 2,000 connections, and SIGTERM."""
    yield from head(["", "a text file", "2,000 connections for 5 s", "SIGTERM with 8 busy connections"], texts=4)
    yield from (row([name, *cells]) for name, cells in found.items())


def stalls(found: Mapping[tuple[str, Fault], Outcome], seconds: int) -> Iterator[str]:
    """Lines of the table of what happens to records, by server and fault."""
    yield from head(_STALL_COLUMNS, texts=2)
    for (name, fault), outcome in found.items():
        failures = [f"{count:,} x {kind}" for kind, count in sorted(outcome.failures.items())]
        counts = [f"{count:,}" for count in (outcome.accepted, outcome.lost, outcome.unclaimed)]
        memory = [f"{outcome.memory:.0f}", f"{outcome.peak:.0f}"]
        yield row([name, fault.value.format(seconds), *counts, *memory, ", ".join(failures) or "none"])


def head(names: Sequence[str], texts: int = 1) -> Iterator[str]:
    yield row(names)
    yield row(["---" if number < texts else "--:" for number in range(len(names))])


def row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def write(text: str, target: str, page: Path = PAGE) -> None:
    """Replace what is between the two marks of a target of make in a page."""
    begin, end = (f"<!-- {edge}: make {target} -->\n" for edge in ("begin", "end"))
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{text.strip()}\n\n{end}{after}")


def read(text: str) -> dict[str, dict[str, dict[str, str]]]:
    """The tables of a page, by the heading above them: the cells by server and column."""
    tables: dict[str, dict[str, dict[str, str]]] = {}
    title, columns = "", [""]
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if line.startswith("#"):
            title, columns = line.strip("# "), []
        elif cells and not columns:
            columns = cells
        elif cells and not cells[0].startswith("---"):
            tables.setdefault(title, {})[cells[0]] = dict(zip(columns, cells, strict=True))
    return tables


def figures(cell: str) -> tuple[float, float, float]:
    """The median, the lowest, and the highest value in a cell."""
    middle, *ends = map(float, re.findall(r"[\d.]+", cell.replace(",", "")))
    return middle, min(ends, default=middle), max(ends, default=middle)


def _cell(column: str, figures: Sequence[Figures | None]) -> str:
    """The median and the range."""
    found = [value for each in figures if each and (value := dataclasses.asdict(each)[column]) is not None]
    return _range(found, _COLUMNS[column][1]) if found else ""


def _share(figures: Sequence[Figures | None], baseline: Sequence[Figures | None]) -> str:
    """CPU time as a share of the baseline's in the same round."""
    shares = [each.cpu / base.cpu for each, base in zip(figures, baseline, strict=False) if each and base]
    return _range(shares, "{:.2f}") if shares else ""


def _range(values: Sequence[float], form: str) -> str:
    low, middle, high = (form.format(value) for value in (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"
