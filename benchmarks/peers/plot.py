"""Draws the tables of what a request costs: `.venv-training/bin/python -m benchmarks.peers.plot TARGET`.

`make train` makes that environment.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

from benchmarks.peers import report

_COLUMN = "CPU ms"

mpl.use("Agg")
# The text stays text, and the same tables give the same bytes.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "peers", "font.family": "sans-serif", "font.size": 9})


def draw(axes: Any, title: str, rows: Mapping[str, Mapping[str, str]]) -> None:
    """Draw the median of each server as a bar, and the range as a line."""
    names = list(rows)
    figures = [report.figures(cells[_COLUMN]) for cells in rows.values()]
    medians = [middle for middle, _, _ in figures]
    ranges = [[middle - low for middle, low, _ in figures], [high - middle for middle, _, high in figures]]
    colors = ["tab:blue" if name.startswith("Lookbook") else "silver" for name in names]
    axes.barh(names, medians, xerr=ranges, color=colors, error_kw={"elinewidth": 1, "capsize": 2})
    axes.invert_yaxis()
    axes.set(title=title, xlabel="CPU time per request, ms")
    axes.spines[["top", "right"]].set_visible(False)


def main(target: Path) -> None:
    tables = {title: rows for title, rows in report.read(report.PAGE.read_text()).items() if _has_costs(rows)}
    figure, panels = pyplot.subplots(1, len(tables), figsize=(10, 3.2), layout="constrained", squeeze=False)
    for axes, (title, rows) in zip(panels.flat, tables.items(), strict=True):
        draw(axes, title, rows)
    figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None)


def _has_costs(rows: Mapping[str, Mapping[str, str]]) -> bool:
    return all(_COLUMN in cells for cells in rows.values())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
