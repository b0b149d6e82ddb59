"""What an upgrade may change, and what it must not."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import Object, named, render, schema_job
from tests.support.places import CHART

RELEASED = Path(__file__).parent / "immutable-0.1.0.yaml"
DEFAULTS = Path(__file__).parent / "values-0.1.0.yaml"


def immutable(items: list[Object]) -> dict[str, Any]:
    """What Kubernetes does not allow to change, by kind and name; None where everything may change."""
    found: dict[str, Any] = {}
    for item in items:
        spec, kind, name = item.get("spec", {}), item["kind"], item["metadata"]["name"]
        value = None
        if kind in ("Deployment", "StatefulSet"):
            value = {key: spec[key] for key in ("selector", "serviceName", "volumeClaimTemplates") if key in spec}
        elif kind == "PersistentVolumeClaim":
            value = spec
        elif kind == "RoleBinding":
            value = item["roleRef"]
        elif kind == "Service":
            value = {key: spec[key] for key in ("selector", "clusterIP") if key in spec}
        elif kind == "Job":
            name = name.rpartition("-")[0]
        found[f"{kind} {name}"] = value
    return found


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


def test_the_autoscaler_owns_the_number_of_pods() -> None:
    assert "replicas" not in named(render(), "Deployment", "lookbook")["spec"]
    fixed = render("--set", "autoscaling.enabled=false")
    assert named(fixed, "Deployment", "lookbook")["spec"]["replicas"] == 2
    assert not [item for item in fixed if item["kind"] == "HorizontalPodAutoscaler"]


def test_each_upgrade_has_its_own_schema_job() -> None:
    changed = render("--set", "settings.retention=86400")
    assert schema_job(render())["metadata"]["name"] != schema_job(changed)["metadata"]["name"]
