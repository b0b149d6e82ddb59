"""The reference pages that are made from the code: each module makes the text of one page and writes nothing."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tools.reference import chart_values, command_line, metrics, settings

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "docs/reference"

PAGES: Mapping[Path, Callable[[], str]] = {
    FOLDER / "settings.md": settings.page,
    FOLDER / "command-line.md": command_line.page,
    FOLDER / "metrics.md": metrics.page,
    FOLDER / "chart-values.md": lambda: chart_values.page((ROOT / "charts/lookbook/values.yaml").read_text()),
}
