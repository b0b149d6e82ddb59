"""The commands of the README's quickstart and of the tutorials, run exactly as written."""

import re
from pathlib import Path

from tests.support.pages import DOCS, checkout, follow, on_a_free_port
from tests.support.places import ROOT

README = ROOT / "README.md"
WAITING = "curl --silent --retry 300 --retry-delay 1 --retry-connrefused"


def test_the_quickstart(tmp_path: Path) -> None:
    port, settings = on_a_free_port()
    # What two terminals do at their own pace.
    paced = {"make run": "make run &", "curl": WAITING}
    printed = follow(README, folder=checkout(tmp_path), replaced={**port, **paced}, environment=settings)
    (promised,) = re.findall(r"/api/tasks/upload    # (\w+)$", README.read_text(), re.MULTILINE)
    assert printed.splitlines()[-1] == promised


def test_the_readme_is_short_and_begins_with_a_prediction() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 120
    assert any("/api/tasks/upload    # Shirt" in line for line in lines[:20])


def test_on_one_machine(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    port, settings = on_a_free_port()
    follow(
        DOCS / "tutorials/one-machine.md",
        folder=folder,
        replaced={"0.0.0.0": "127.0.0.1", **port},
        environment=settings,
    )
    assert (folder / "lookbook.sqlite").exists()


def test_from_a_wrong_prediction_to_a_better_model(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    port, settings = on_a_free_port()
    follow(DOCS / "tutorials/better-model.md", folder=folder, replaced=port, environment=settings)
    assert "<h2>Flips</h2>" in (folder / "report.html").read_text()
    assert (folder / "judged/index.csv").exists()
