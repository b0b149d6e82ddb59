"""commonLabels are on every object and pod, but not in selectors or claims."""

import pytest

from tests.support.chart import helm_template, immutable, pod_templates, render

TEAM = {"example.com/team": "images"}
SET = ("--set", "commonLabels.example\\.com/team=images,monitoring.dashboard=true,monitoring.alerts=true")


def test_common_labels_are_on_objects_and_pods() -> None:
    items = render(*SET)
    for item in items:
        labels = item["metadata"]["labels"]
        assert (labels.items() >= TEAM.items()) == (item["kind"] != "PersistentVolumeClaim"), item["metadata"]["name"]
    for name, template in pod_templates(items):
        assert template["metadata"]["labels"].items() >= TEAM.items(), name


def test_common_labels_are_not_in_selectors_or_claims() -> None:
    assert immutable(render(*SET)).items() >= immutable(render()).items()


def test_labels_of_pods_win_over_common_ones() -> None:
    items = render(*SET, "--set", "pod.labels.example\\.com/team=shop")
    found = {name: template["metadata"]["labels"]["example.com/team"] for name, template in pod_templates(items)}
    assert {name for name, team in found.items() if team == "shop"} == {"Deployment lookbook"}


@pytest.mark.parametrize("name", ["app\\.kubernetes\\.io/instance", "helm\\.sh/chart"])
def test_labels_of_the_chart_cannot_be_changed(name: str) -> None:
    result = helm_template("--set", f"commonLabels.{name}=own")
    assert result.returncode != 0
    assert "invalid propertyName" in result.stderr
