"""How objects are named: by the release, nameOverride, fullnameOverride, or the alias of a dependency."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.chart import Object, helm_template, named, render, schema_job
from tests.support.places import CHART

# Names become labels of pods, which have at most 63 characters; a StatefulSet's name gets a revision appended.
LONGEST = 63
REVISION = "-0123456789"


def names(items: list[Object]) -> set[str]:
    return {item["metadata"]["name"] for item in items}


def labels(items: list[Object]) -> set[tuple[str, str]]:
    """The name and instance that select pods."""
    selectors = [item["spec"]["selector"]["matchLabels"] for item in items if item["kind"] == "Deployment"]
    return {(found["app.kubernetes.io/name"], found["app.kubernetes.io/instance"]) for found in selectors}


@pytest.mark.parametrize(
    ("values", "beginning", "label"),
    [
        ("", "prod", "lookbook"),
        ("nameOverride=lookbook", "prod", "lookbook"),
        ("nameOverride=my-lookbook", "prod-my-lookbook", "my-lookbook"),
        ("fullnameOverride=shop", "shop", "lookbook"),
        ("nameOverride=own,fullnameOverride=shop", "shop", "own"),
    ],
)
def test_overrides_change_names(values: str, beginning: str, label: str) -> None:
    items = render("--set", values, release="prod")
    assert {name for name in names(items) if name != beginning and not name.startswith(f"{beginning}-")} == set()
    assert labels(items) == {(label, "prod")}
    env = named(items, "Deployment", beginning)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "LOOKBOOK_CASSANDRA_CONTACT_POINTS", "value": f"{beginning}-cassandra"} in env


@pytest.mark.parametrize("values", ["", "nameOverride=a-name-as-long-as-the-schema-allows-that"])
def test_a_long_name_is_shortened_and_stays_unique(values: str) -> None:
    found = [render("--set", values, release=f"{'a' * 52}{last}") for last in "bc"]
    assert not names(found[0]) & names(found[1])
    for item in found[0]:
        name, kind = item["metadata"]["name"], item["kind"]
        assert len(name + REVISION if kind == "StatefulSet" else name) <= LONGEST, f"{kind} {name}"


@pytest.mark.parametrize(("release", "values"), [("1st", ""), ("dotted.name", ""), ("prod", "fullnameOverride=1st")])
def test_names_that_kubernetes_refuses_are_refused(release: str, values: str) -> None:
    result = helm_template("--set", values, release=release)
    assert result.returncode != 0
    assert "fullnameOverride" in result.stderr


def test_the_monitoring_follows_the_name() -> None:
    items = render("--set", "monitoring.alerts=true,fullnameOverride=shop")
    rules = named(items, "PrometheusRule", "shop")["spec"]["groups"][0]["rules"]
    assert all('namespace="default", ' in rule["expr"] for rule in rules)
    assert all(re.search('service="shop"|job_name=~"shop-(schema|backup|batch)-', rule["expr"]) for rule in rules)
    # Helm knows the release by its name, no matter what its objects are named.
    assert "helm rollback lookbook --namespace default." in str(rules)


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """A chart with two dependencies on this one, one of them under an alias."""
    folder = tmp_path / "parent"
    shutil.copytree(CHART, folder / "charts/lookbook")
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    dependency = {"name": "lookbook", "version": version}
    dependencies = [
        {**dependency, "condition": "lookbook.enabled", "tags": ["images"]},
        {**dependency, "alias": "shoes", "condition": "shoes.enabled"},
    ]
    meta = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": dependencies}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(meta))
    (folder / "values.yaml").write_text(
        yaml.safe_dump(
            {
                "global": {"imageRegistry": "mirror.example", "anything": {"of": "the parent"}},
                "tags": {"images": True},
                "lookbook": {"enabled": True},
                "shoes": {"enabled": True, "tags": {"of": "its own"}},
            }
        )
    )
    return folder


def test_as_a_dependency_it_has_the_names_of_the_release_and_of_the_alias(parent: Path) -> None:
    items = render(chart=parent, release="shop")
    identities = [(item["kind"], item["metadata"]["name"]) for item in items]
    assert len(identities) == len(set(identities))
    assert labels(items) == {("lookbook", "shop"), ("shoes", "shop")}
    for name in ("shop", "shop-shoes"):
        spec = named(items, "Deployment", name)["spec"]["template"]["spec"]
        assert spec["containers"][0]["image"].startswith("mirror.example/lookbook:")
    statefulsets = [item for item in items if item["kind"] == "StatefulSet"]
    assert {item["spec"]["serviceName"] for item in statefulsets} == {"shop-cassandra", "shop-shoes-cassandra"}


def test_as_a_dependency_it_can_be_switched_off(parent: Path) -> None:
    items = render("--set", "lookbook.enabled=false", chart=parent, release="shop")
    assert labels(items) == {("shoes", "shop")}
    assert schema_job(items)["metadata"]["name"].startswith("shop-shoes-schema-")
