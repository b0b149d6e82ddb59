"""The chart as Helm renders it; a real cluster is tests/e2e."""

import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from lookbook.model.bundle import read_bundle
from lookbook.settings import Settings

from tests.support.chart import containers, helm_template, named, pod_specs, render, tool
from tests.support.places import CHART, CLOTHES, ROOT

CASES = [None, *sorted(CHART.glob("ci/*-values.yaml"))]
# Where kubeconform finds the schemas of Kubernetes' objects (its own choice is a download), and of which versions.
SCHEMAS = os.environ.get("KUBE_SCHEMAS", "default")
VERSIONS = os.environ.get("KUBE_VERSIONS", "master").split()


@pytest.fixture(params=CASES, ids=lambda case: case.stem if case else "defaults")
def values(request: pytest.FixtureRequest) -> list[object]:
    return ["--values", request.param] if request.param else []


def test_two_renderings_are_the_same_bytes(values: list[object]) -> None:
    assert helm_template(*values).stdout == helm_template(*values).stdout != ""


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field(values: list[object], version: str) -> None:
    where = ("-schema-location", SCHEMAS, "-kubernetes-version", version)
    result = subprocess.run(
        [tool("kubeconform"), "-strict", "-ignore-missing-schemas", "-summary", *where, "-"],
        input=helm_template(*values).stdout,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Valid: 0" not in result.stdout


def test_the_committed_rendering_is_the_chart_s() -> None:
    assert (ROOT / "k8s/rendered.yaml").read_text() == helm_template().stdout, "run `make rendered`"


def test_every_container_is_restricted_and_asks_for_what_it_needs(values: list[object]) -> None:
    items = render(*values)
    for name, spec in pod_specs(items):
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
    for name, container in containers(items):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
        assert "memory" in container["resources"]["limits"], name


def test_only_development_may_write_to_the_root() -> None:
    items = render("--set", "dev=true")
    writable = [name for name, c in containers(items) if not c["securityContext"]["readOnlyRootFilesystem"]]
    assert writable == ["Deployment lookbook, service"]


def test_names_are_given_once(values: list[object]) -> None:
    items = render(*values)
    for name, container in containers(items):
        for field in ("env", "ports", "volumeMounts"):
            key = "mountPath" if field == "volumeMounts" else "name"
            counts = Counter(entry[key] for entry in container.get(field, []))
            assert not [one for one, count in counts.items() if count > 1], name
    counts = Counter((item["kind"], item["metadata"]["name"]) for item in items)
    assert max(counts.values()) == 1


def test_replicas_stand_nowhere_beside_an_autoscaler() -> None:
    assert "replicas" not in named(render(), "Deployment", "lookbook")["spec"]
    fixed = render("--set", "autoscaling.enabled=false")
    assert named(fixed, "Deployment", "lookbook")["spec"]["replicas"] == 2
    assert not [item for item in fixed if item["kind"] == "HorizontalPodAutoscaler"]


def test_nothing_immutable_changes_with_the_version(values: list[object], next_chart: Path) -> None:
    def immutable(items: list[dict[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for item in items:
            name = f"{item['kind']} {item['metadata']['name']}"
            spec = item.get("spec", {})
            if item["kind"] in ("Deployment", "StatefulSet"):
                found[name] = [spec["selector"], spec.get("volumeClaimTemplates"), spec.get("serviceName")]
            elif item["kind"] == "PersistentVolumeClaim":
                found[name] = spec
            elif item["kind"] == "RoleBinding":
                found[name] = item["roleRef"]
            if item["kind"] == "StatefulSet":
                assert "9.9.9" not in json.dumps(spec)
        return found

    assert immutable(render(*values)) == immutable(render(*values, chart=next_chart))


def test_each_upgrade_has_a_schema_job_of_its_own() -> None:
    def job(*arguments: str) -> str:
        return next(item["metadata"]["name"] for item in render(*arguments) if item["kind"] == "Job")

    assert job() != job("--set", "settings.retention=86400")


def test_a_token_exists_in_one_init_container_alone() -> None:
    items = render()
    holders = [
        name
        for name, container in containers(items)
        for mount in container.get("volumeMounts", [])
        if "serviceaccount" in mount["mountPath"]
    ]
    (job,) = [item["metadata"]["name"] for item in items if item["kind"] == "Job"]
    assert holders == [f"Job {job}, secrets"]
    rules = named(items, "Role", "lookbook-schema")["rules"]
    assert [(rule["verbs"], len(rule.get("resourceNames", []))) for rule in rules] == [(["create"], 0), (["get"], 2)]


def test_existing_secrets_need_no_token() -> None:
    kinds = {item["kind"] for item in render("--values", CHART / "ci/external-values.yaml")}
    assert not kinds & {"Role", "RoleBinding", "StatefulSet"}


def test_the_defaults_name_the_bundle_that_ships() -> None:
    bundle = read_bundle(CLOTHES)
    model = yaml.safe_load((CHART / "values.yaml").read_text())["model"]
    assert (model["name"], model["version"], model["digest"]) == (bundle.name, bundle.version, bundle.digest)


def test_images_have_the_chart_s_version() -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    images = yaml.safe_load((CHART / "values.yaml").read_text())["images"]
    assert images["service"] == f"lookbook:{version}"
    assert images["modelInit"] == f"lookbook-model-init:{version}"


def properties(schema: dict[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    found = {}
    for name, entry in schema.get("properties", {}).items():
        found[prefix + name] = entry
        found |= properties(entry, f"{prefix}{name}.")
    return found


def leaves(values: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, entry in values.items():
        found |= {prefix + name} | (leaves(entry, f"{prefix}{name}.") if isinstance(entry, dict) else set())
    return found


def test_schema_and_values_are_in_step() -> None:
    schema = properties(json.loads((CHART / "values.schema.json").read_text()))
    known = {name for name in schema if not name.startswith("settings.") and name != "global"}
    given = leaves(yaml.safe_load((CHART / "values.yaml").read_text()))
    assert known == {name for name in given if "requests." not in name and "limits." not in name}
    free = ("global", "annotations", "requests", "limits")
    for name, entry in schema.items():
        if entry.get("type") == "object" and not name.endswith(free):
            assert entry["additionalProperties"] is False, name
    settings = {name.removeprefix("settings.") for name in schema if name.startswith("settings.")}
    assert settings < set(Settings.__slots__)


def test_every_value_is_used() -> None:
    text = "".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    for name in leaves(yaml.safe_load((CHART / "values.yaml").read_text())):
        top = name.split(".requests")[0].split(".limits")[0]
        assert re.search(rf"\.Values\.{re.escape(top)}\b", text), name


def test_the_service_takes_the_settings_that_are_rendered(values: list[object]) -> None:
    """As on an upgrade that reuses values: numbers come as JSON, and Helm reads them as floats."""
    large = ("--set-json", "settings.retention=2592000", "--set-json", "settings.max_bytes=8388608")
    for name, spec in pod_specs(render(*values, *large)):
        for container in spec["containers"]:
            given = {entry["name"]: entry.get("value", "x") for entry in container.get("env", ())}
            ours = {name: value for name, value in given.items() if name.startswith("LOOKBOOK_")}
            if ours:
                assert Settings.from_environment(ours).retention == 2592000, name


@pytest.mark.parametrize(
    "setting",
    [
        "autoscalling.enabled=true",
        "cassandra.replication=3",
        "cassandra.nodes=2",
        "cassandra.nodes=0",
        "model.digest=abc",
        "settings.no_such_setting=1",
        "service.port=80000",
        "cassandra.contactPoints=elsewhere",
        "autoscaling.minReplicas=11",
    ],
)
def test_a_wrong_value_is_refused(setting: str) -> None:
    result = helm_template("--set", setting)
    assert result.returncode != 0
    assert setting.split("=")[0].split(".")[0] in result.stderr
