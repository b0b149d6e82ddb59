"""The whole rendering: valid, the same each time, and committed."""

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.support.chart import containers, helm_template, render, tool
from tests.support.places import CHART, ROOT
from tests.support.requirements import lacking

# Where kubeconform finds the schemas of Kubernetes, and for which versions. By default it downloads them.
SCHEMAS = os.environ.get("KUBE_SCHEMAS", "default")
VERSIONS = os.environ.get("KUBE_VERSIONS", "master").split()
NO_SCHEMAS = (
    "kubeconform cannot download the schemas of Kubernetes: "
    "set KUBE_SCHEMAS to their files, such as /path/{{.ResourceKind}}{{.KindSuffix}}.json"
)


def test_two_renderings_are_the_same_bytes(values: list[object]) -> None:
    assert helm_template(*values).stdout == helm_template(*values).stdout != ""


def kubeconform(manifests: str, version: str) -> "subprocess.CompletedProcess[str]":
    command = [tool("kubeconform"), "-strict", "-ignore-missing-schemas", "-summary"]
    where = ["-schema-location", SCHEMAS, "-kubernetes-version", version]
    return subprocess.run(
        [*command, *where, "-"], input=manifests, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module", params=VERSIONS)
def kubernetes(request: pytest.FixtureRequest) -> str:
    """A version of Kubernetes whose schemas are at hand."""
    result = kubeconform("{apiVersion: v1, kind: Namespace, metadata: {name: any}}", request.param)
    if "failed downloading schema" in result.stdout:
        lacking(NO_SCHEMAS, "HELM")
    return str(request.param)


def test_kubernetes_knows_every_field(values: list[object], kubernetes: str) -> None:
    result = kubeconform(helm_template(*values).stdout, kubernetes)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Valid: 0" not in result.stdout


def test_the_committed_rendering_is_current() -> None:
    assert (ROOT / "k8s/rendered.yaml").read_text() == helm_template().stdout, "run `make rendered`"


def test_each_template_renders_one_object() -> None:
    everything = helm_template("--values", CHART / "ci/all-values.yaml", "--set", "autoscaling.enabled=true").stdout
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
