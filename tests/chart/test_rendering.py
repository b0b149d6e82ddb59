"""The whole rendering: valid, the same each time, and committed."""

import json
import re
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from jsonschema_rs import Registry, validator_for

from tests.support.chart import Object, containers, helm_template, render
from tests.support.places import CHART, ROOT

SCHEMAS = files("kubernetes_validate") / "kubernetes-json-schema"
DEFINITIONS = "https://kubernetes.io/api/_definitions.json"
VERSIONS = sorted(folder.name for folder in SCHEMAS.iterdir() if re.fullmatch(r"v1\.3\d.*-strict", folder.name))
# Kinds that Kubernetes itself does not know.
ADDED = {"HTTPRoute", "PrometheusRule", "ServiceMonitor"}


def test_two_renderings_are_the_same_bytes(values: list[object]) -> None:
    assert helm_template(*values).stdout == helm_template(*values).stdout != ""


@cache
def rendered(*values: object) -> list[Object]:
    return render(*values)


def schema_name(item: Object) -> str:
    group, _, version = item["apiVersion"].rpartition("/")
    return "-".join(filter(None, (item["kind"].lower(), group.partition(".")[0], version))) + ".json"


@pytest.fixture(scope="module", params=VERSIONS)
def kubernetes(request: pytest.FixtureRequest) -> Callable[[Object], list[str]]:
    """What one version of Kubernetes finds wrong with an object; a field that it does not know is wrong."""
    folder = SCHEMAS / request.param
    registry = Registry([(DEFINITIONS, json.loads((folder / "_definitions.json").read_text()))])

    def errors(item: Object) -> list[str]:
        schema = json.loads((folder / schema_name(item)).read_text())
        return [str(error) for error in validator_for(schema, registry=registry).iter_errors(item)]

    return errors


def test_each_version_of_kubernetes_knows_every_field(
    values: list[object], kubernetes: Callable[[Object], list[str]]
) -> None:
    items = [item for item in rendered(*values) if item["kind"] not in ADDED]
    for item in items:
        assert kubernetes(item) == []
    (service,) = [item for item in items if item["kind"] == "Deployment" and item["metadata"]["name"] == "lookbook"]
    service = deepcopy(service)
    service["spec"]["template"]["spec"]["containers"][0]["unknown"] = True
    assert "('unknown' was unexpected)" in "".join(kubernetes(service))


def test_the_oldest_version_of_kubernetes_is_the_one_that_the_chart_names() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={VERSIONS[0].removeprefix('v').partition('-')[0]}-0"


def test_the_committed_rendering_is_current() -> None:
    assert (ROOT / "k8s/rendered.yaml").read_text() == helm_template().stdout, "run `make rendered`"


def test_each_template_renders_one_object() -> None:
    more = "autoscaling.enabled=true,backup.schedule=@daily,backup.existingClaim=any,batch.enabled=true"
    everything = helm_template("--values", CHART / "ci/all-values.yaml", "--set", more).stdout
    sources = Counter(line for line in everything.splitlines() if line.startswith("# Source: "))
    assert len(sources) > 25
    assert not [source for source, count in sources.items() if count > 1]


def test_names_are_unique(values: list[object]) -> None:
    items = render(*values)
    for name, container in containers(items):
        for field in ("env", "ports", "volumeMounts"):
            key = "mountPath" if field == "volumeMounts" else "name"
            counts = Counter(entry[key] for entry in container.get(field, []))
            assert not [one for one, count in counts.items() if count > 1], name
    counts = Counter((item["kind"], item["metadata"]["name"]) for item in items)
    assert max(counts.values()) == 1


FILES = [ROOT / "skaffold.yaml", ROOT / "k8s/kind.yaml", *CHART.glob("ci/*"), CHART / "values.yaml"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_yaml_is_in_block_style(path: Path) -> None:
    """An empty map or list can only be written as {} or []."""
    for event in yaml.parse(path.read_text()):
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent) and event.flow_style:
            assert event.start_mark
            text = path.read_text().splitlines()[event.start_mark.line]
            assert text.endswith(("{}", "[]")), f"{path}: {text}"
