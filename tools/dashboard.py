"""Draws the chart's dashboard from what a Prometheus has: `.venv-training/bin/python -m tools.dashboard URL TARGET`.

It stands in for Grafana's own picture: the panels, questions and names are of the chart's file, the looks are not.
"""

import argparse
import io
import json
import re
import time
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
STEP = 10

mpl.use("Agg")


def series(url: str, expression: str, begin: float, end: float) -> list[dict[str, Any]]:
    """What Prometheus at `url` has for an expression: each its `metric` and its `values`."""
    query = {"query": expression, "start": begin, "end": end, "step": STEP}
    answer = requests.get(f"{url}/api/v1/query_range", query, timeout=30)
    answer.raise_for_status()
    return answer.json()["data"]["result"]


def draw(panel: dict[str, Any], axes: pyplot.Axes, ask: Any, variables: dict[str, str]) -> None:
    """A panel's series, named as its targets say."""
    colours = mpl.colormaps["tab20"].colors
    axes.set_prop_cycle(color=colours[::2] + colours[1::2])
    for target in panel["targets"]:
        expression = re.sub(r"\$([a-z]+)", lambda found: variables[found[1]], target["expr"])
        for found in sorted(ask(expression), key=lambda one: sorted(one["metric"].items())):
            name = re.sub(r"{{(\w+)}}", lambda label, metric=found["metric"]: metric[label[1]], target["legendFormat"])
            times, values = np.array(found["values"], float).T
            axes.plot([datetime.fromtimestamp(at) for at in times], values, label=name, linewidth=1)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="Prometheus, such as http://127.0.0.1:9090")
    parser.add_argument("target", type=Path, help="the picture")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--service", default="lookbook")
    parser.add_argument("--minutes", type=float, default=30)
    options = parser.parse_args()
    dashboard = json.loads(DASHBOARD.read_text())
    end = time.time()

    def ask(expression: str) -> list[dict[str, Any]]:
        return series(options.url, expression, end - options.minutes * 60, end)

    panels = dashboard["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = pyplot.figure(figsize=(15, rows * 0.42))
    for panel in panels:
        across, down, width, height = (panel["gridPos"][name] for name in "xywh")
        # Around the curves: room for the title, the axis and the legend.
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
