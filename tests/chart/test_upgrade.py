"""What an upgrade may change, and what it must not."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.chart import immutable, render, schema_job
from tests.support.places import CHART

RELEASED = Path(__file__).parent / "immutable-0.1.0.yaml"
DEFAULTS = Path(__file__).parent / "values-0.1.0.yaml"


@pytest.mark.parametrize("case", ["defaults", "all", "external", "ha", "shared-models"])
def test_names_selectors_and_claims_are_those_of_0_1_0(case: str) -> None:
    values = [] if case == "defaults" else ["--values", CHART / f"ci/{case}-values.yaml"]
    assert immutable(render(*values, release="prod")) == yaml.safe_load(RELEASED.read_text())[case]


def test_nothing_immutable_changes_with_the_version(values: list[object], next_chart: Path) -> None:
    assert immutable(render(*values)) == immutable(render(*values, chart=next_chart))
    for item in render(*values, chart=next_chart):
        assert item["kind"] != "StatefulSet" or "9.9.9" not in json.dumps(item["spec"])


def test_values_of_0_1_0_render_as_the_defaults(tmp_path: Path) -> None:
    """As with helm upgrade --reuse-values, where the new templates get no other defaults than the old ones."""
    chart = tmp_path / "lookbook"
    shutil.copytree(CHART, chart)
    shutil.copy(DEFAULTS, chart / "values.yaml")
    assert immutable(render(chart=chart)) == immutable(render())
    for old, new in zip(render(chart=chart), render(), strict=True):
        assert old["kind"] == "Job" or old == new


def test_each_upgrade_has_its_own_schema_job() -> None:
    changed = render("--set", "settings.retention=86400")
    assert schema_job(render())["metadata"]["name"] != schema_job(changed)["metadata"]["name"]
