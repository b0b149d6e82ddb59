"""Draws the chart's dashboard with data from a Prometheus: `.venv-training/bin/python -m tools.dashboard URL TARGET`.

It stands in for a screenshot of Grafana: panels, queries, and names come from the chart's file, but not the looks.
"""

import argparse
import io
import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import requests
from matplotlib import dates, pyplot, ticker
from PIL import Image

DASHBOARD = Path(__file__).parent.parent / "charts/lookbook/files/dashboard.json"
COLUMNS = 24
UNITS = {"s": ticker.EngFormatter("s"), "reqps": "{x:g}/s", "short": "{x:g}"}
STEP_SECONDS = 10

Series = dict[str, Any]  # `metric` and `values`, as Prometheus returns them

mpl.use("Agg")


def query(url: str, expression: str, begin: float, end: float) -> list[Series]:
    """What Prometheus at `url` has for an expression between two times."""
    parameters = {"query": expression, "start": str(begin), "end": str(end), "step": str(STEP_SECONDS)}
    response = requests.get(f"{url}/api/v1/query_range", parameters, timeout=30)
    response.raise_for_status()
    series: list[Series] = response.json()["data"]["result"]
    return series


def draw(panel: dict[str, Any], axes: Any, ask: Callable[[str], list[Series]], variables: Mapping[str, str]) -> None:
    """Draw a panel's series, named as its targets say."""
    colors = mpl.colormaps["tab20"].colors
    axes.set_prop_cycle(color=colors[::2] + colors[1::2])
    for target in panel["targets"]:
        expression = re.sub(r"\$([a-z]+)", lambda found: variables[found[1]], target["expr"])
        for series in sorted(ask(expression), key=lambda one: sorted(one["metric"].items())):
            times, values = np.array(series["values"], float).T
            label = legend(target["legendFormat"], series["metric"])
            axes.plot([datetime.fromtimestamp(at) for at in times], values, label=label, linewidth=1)
    defaults = panel["fieldConfig"]["defaults"]
    axes.set_title(panel["title"], loc="left", fontsize=9)
    axes.set_ylim(bottom=defaults["min"])
    axes.yaxis.set_major_formatter(UNITS[defaults["unit"]])
    axes.xaxis.set_major_locator(dates.AutoDateLocator(maxticks=7))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    columns = 4 if len(axes.lines) > 4 else 2
    axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.06), ncols=columns, fontsize=7, frameon=False)


def legend(form: str, metric: Mapping[str, str]) -> str:
    """Grafana's legendFormat with the labels of a series filled in."""
    return re.sub(r"{{(\w+)}}", lambda label: metric[label[1]], form)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="Prometheus, such as http://127.0.0.1:9090")
    parser.add_argument("target", type=Path, help="file of the drawing")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--service", default="lookbook")
    parser.add_argument("--minutes", type=float, default=30)
    options = parser.parse_args()
    dashboard = json.loads(DASHBOARD.read_text())
    end = time.time()

    def ask(expression: str) -> list[Series]:
        return query(options.url, expression, end - options.minutes * 60, end)

    panels = dashboard["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = pyplot.figure(figsize=(15, rows * 0.42))
    for panel in panels:
        across, down, width, height = (panel["gridPos"][name] for name in "xywh")
        # Around the curves: room for the title, the axis, and the legend.
        left, bottom = (across + 1) / COLUMNS, 0.96 * (1 - (down + height - 2) / rows)
        axes = figure.add_axes((left, bottom, (width - 1.3) / COLUMNS, 0.96 * (height - 3) / rows))
        draw(panel, axes, ask, {"namespace": options.namespace, "service": options.service})
    figure.suptitle(f"{dashboard['title']}: {options.namespace}/{options.service}", x=0.01, ha="left", fontsize=12)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=100)
    # A palette takes a third of the bytes.
    Image.open(drawn).convert("RGB").quantize(256, kmeans=5).save(options.target, optimize=True)


if __name__ == "__main__":
    main()
