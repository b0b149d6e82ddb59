"""The tables, and the page of the documentation that contains them."""

import dataclasses
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.peers.measuring import Figures
from benchmarks.peers.peers import FLASK, ROOT

PAGE = ROOT / "docs/explanation/compared-with-others.md"

_BEGIN, _END = "<!-- begin: make peers -->\n", "<!-- end: make peers -->\n"
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


def costs(runs: Mapping[str, Sequence[Figures | None]]) -> Iterator[str]:
    """Lines of the table of what a request costs, by name of the peer."""
    yield from head(["", "CPU, share of Flask's", *(name for name, _ in _COLUMNS.values())])
    for name, figures in runs.items():
        yield row([name, _share(figures, runs.get(FLASK, ())), *(_cell(column, figures) for column in _COLUMNS)])


def behavior(found: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Lines of the table of what peers do: with a text file, 2,000 connections, and SIGTERM."""
    yield from head(["", "a text file", "2,000 connections for 5 s", "SIGTERM with 8 busy connections"], texts=4)
    yield from (row([name, *cells]) for name, cells in found.items())


def head(names: Sequence[str], texts: int = 1) -> Iterator[str]:
    yield row(names)
    yield row(["---" if number < texts else "--:" for number in range(len(names))])


def row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def write(text: str, page: Path = PAGE) -> None:
    """Replace what is between the two marks in a page."""
    before, _, rest = page.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    page.write_text(f"{before}{_BEGIN}\n{text.strip()}\n\n{_END}{after}")


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
