"""The dashboard, read with the types that Grafana publishes."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.support.places import CHART, ROOT
from tests.support.requirements import lacking

DASHBOARD = (CHART / "files/dashboard.json").read_text()


def grafana(text: str) -> "subprocess.CompletedProcess[str]":
    if not shutil.which("go"):
        lacking("no Go: the test of the dashboard needs it", "GO")
    command = ["go", "run", "."]
    return subprocess.run(
        command, cwd=ROOT / "tests/chart/grafana", input=text, capture_output=True, text=True, timeout=300
    )


def lost(given: Any, kept: Any) -> bool:
    """Whether something of `given` is not in `kept`; what is empty may be left out."""
    if isinstance(given, dict):
        return any(lost(value, kept.get(name)) for name, value in given.items() if value not in ({}, []))
    if isinstance(given, list):
        return len(given) != len(kept) or any(map(lost, given, kept))
    return bool(given != kept)


def test_grafana_knows_every_field_of_the_dashboard() -> None:
    read = grafana(DASHBOARD)
    assert read.returncode == 0, read.stderr
    assert not lost(json.loads(DASHBOARD), json.loads(read.stdout))


@pytest.mark.parametrize(("old", "new"), [("legendFormat", "legend"), ("unit", "units"), ("gridPos", "grid")])
def test_an_unknown_field_is_found(old: str, new: str) -> None:
    text = DASHBOARD.replace(f'"{old}"', f'"{new}"')
    read = grafana(text)
    assert read.returncode or lost(json.loads(text), json.loads(read.stdout))
