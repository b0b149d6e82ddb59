"""What every pod may do, and which resources it requests."""

import json
from typing import Any

import pytest
from lookbook.server.process import HANDLING_SECONDS
from lookbook.server.uploads import longest_seconds
from lookbook.settings import Settings

from tests.support.chart import containers, named, pod_specs, render, schema_job
from tests.support.places import CHART


def test_every_container_is_restricted_and_has_requests_and_limits(values: list[object]) -> None:
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
        if name.endswith("batch-executor, executor"):
            continue  # Spark adds its resources
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
        assert "memory" in container["resources"]["limits"], name


def test_only_development_has_a_writable_root() -> None:
    items = render("--set", "dev=true")
    writable = [name for name, c in containers(items) if not c["securityContext"]["readOnlyRootFilesystem"]]
    assert writable == ["Deployment lookbook, service"]


def test_only_one_init_container_has_a_token() -> None:
    items = render()
    holders = [
        name
        for name, container in containers(items)
        for mount in container.get("volumeMounts", [])
        if "serviceaccount" in mount["mountPath"]
    ]
    assert holders == [f"Job {schema_job(items)['metadata']['name']}, secrets"]
    rules = named(items, "Role", "lookbook-schema")["rules"]
    assert [(rule["verbs"], len(rule.get("resourceNames", []))) for rule in rules] == [(["create"], 0), (["get"], 2)]


def test_existing_secrets_need_no_token() -> None:
    kinds = {item["kind"] for item in render("--values", CHART / "ci/external-values.yaml")}
    assert not kinds & {"Role", "RoleBinding", "StatefulSet"}


@pytest.mark.parametrize(
    "settings", [{}, {"body_timeout": 60}, {"max_bytes": 50_000_001}, {"body_rate": 10_000, "max_bytes": 1_000_000}]
)
def test_a_pod_that_stops_may_finish_the_slowest_upload(settings: dict[str, Any]) -> None:
    deployment = named(render("--set-json", f"settings={json.dumps(settings)}"), "Deployment", "lookbook")
    spec = deployment["spec"]["template"]["spec"]
    pause = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    spare = spec["terminationGracePeriodSeconds"] - pause - longest_seconds(Settings(**settings)) - HANDLING_SECONDS
    assert spare == 12
