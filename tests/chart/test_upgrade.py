"""What an upgrade may change, and what it must not change."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.chart import default_image, immutable, render, schema_job
from tests.support.places import CHART

RELEASED = Path(__file__).parent / "immutable-0.1.0.yaml"
# What later versions have in addition.
ADDED = ("Service prod-peers",)
DEFAULTS = Path(__file__).parent / "values-0.1.0.yaml"


@pytest.mark.parametrize("case", ["defaults", "all", "external", "ha", "shared-models"])
def test_names_selectors_and_claims_are_those_of_0_1_0(case: str) -> None:
    values = [] if case == "defaults" else ["--values", CHART / f"ci/{case}-values.yaml"]
    found = immutable(render(*values, release="prod"))
    for name in ADDED:
        found.pop(name)
    assert found == yaml.safe_load(RELEASED.read_text())[case]


def test_nothing_immutable_changes_with_the_version(values: list[object], next_chart: Path) -> None:
    assert immutable(render(*values)) == immutable(render(*values, chart=next_chart))
    for item in render(*values, chart=next_chart):
        assert item["kind"] != "StatefulSet" or "9.9.9" not in json.dumps(item["spec"])


def test_values_of_0_1_0_render_as_the_defaults(tmp_path: Path) -> None:
    """As with helm upgrade --reuse-values, where the new templates get the old defaults."""
    chart = tmp_path / "lookbook"
    shutil.copytree(CHART, chart)
    shutil.copy(DEFAULTS, chart / "values.yaml")
    model = yaml.safe_load(DEFAULTS.read_text())["model"]
    same_model = f"model.version={model['version']},model.digest={model['digest']}"
    assert render(chart=chart) == render("--set", same_model)


@pytest.mark.parametrize(
    "change", ["settings.retention=86400", "cassandra.nodes=3", "commonLabels.a=b", "images.service.tag=x"]
)
def test_the_schema_job_has_a_new_name_if_it_changes(change: str) -> None:
    """Kubernetes refuses to change a Job."""
    old, new = schema_job(render()), schema_job(render("--set", change))
    assert old["spec"] != new["spec"]
    assert old["metadata"]["name"] != new["metadata"]["name"]


@pytest.mark.parametrize(
    "change", ["replicas=5", "model.version=3.0.0", "networkPolicy.enabled=false", "service.port=81"]
)
def test_the_schema_job_keeps_its_name_if_it_does_not_change(change: str, next_chart: Path) -> None:
    assert schema_job(render()) == schema_job(render("--set", change))
    same_image = ("--set", f"images.service={default_image('service')},images.modelInit={default_image('modelInit')}")
    old, new = schema_job(render()), schema_job(render(*same_image, chart=next_chart))
    assert old["metadata"]["name"] == new["metadata"]["name"]


def test_another_revision_changes_nothing() -> None:
    assert render("--is-upgrade") == render()
