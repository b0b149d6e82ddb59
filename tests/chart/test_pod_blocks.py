"""What the pod blocks of the values add to the pods."""

import json
from typing import Any

import pytest

from tests.support.chart import Object, helm_template, named, pod_templates, render
from tests.support.places import CHART

BLOCKS = {
    "pod": ("Deployment", "lookbook"),
    "models.pod": ("Deployment", "lookbook-models"),
    "cassandra.pod": ("StatefulSet", "lookbook-cassandra"),
}
SCHEDULING = {
    "nodeSelector": {"pool": "own"},
    "tolerations": [{"key": "pool", "operator": "Exists"}],
    "priorityClassName": "important",
}


def template(block: str, value: Object, *arguments: object) -> Object:
    """The pod template of a workload whose block has this value."""
    items = render("--set-json", f"{block}={json.dumps(value)}", *arguments)
    found: Object = named(items, *BLOCKS[block])["spec"]["template"]
    return found


def plain(block: str) -> Object:
    return template(block, {})


@pytest.mark.parametrize("block", BLOCKS)
def test_metadata_is_added(block: str) -> None:
    metadata = template(block, {"annotations": {"a": "1"}, "labels": {"app.kubernetes.io/part-of": "shop"}})["metadata"]
    assert metadata["annotations"] == {"a": "1"}
    assert metadata["labels"] == {**plain(block)["metadata"]["labels"], "app.kubernetes.io/part-of": "shop"}


@pytest.mark.parametrize("block", BLOCKS)
def test_scheduling_is_added(block: str) -> None:
    affinity: Object = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
    spec = template(block, {**SCHEDULING, "affinity": affinity})["spec"]
    assert spec == {**plain(block)["spec"], **SCHEDULING, "affinity": affinity}


@pytest.mark.parametrize("block", BLOCKS)
def test_spread_constraints_replace_those_of_the_chart(block: str) -> None:
    own = [{"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"}]
    assert template(block, {"topologySpreadConstraints": own})["spec"]["topologySpreadConstraints"] == own
    assert not template(block, {"topologySpreadConstraints": []})["spec"]["topologySpreadConstraints"]


@pytest.mark.parametrize("block", BLOCKS)
def test_variables_volumes_and_mounts_are_added_to_the_main_container(block: str) -> None:
    env, volume, mount = (
        {"name": "A", "value": "1"},
        {"name": "own", "emptyDir": {}},
        {"name": "own", "mountPath": "/x"},
    )
    before = plain(block)["spec"]
    after = template(block, {"env": [env], "volumes": [volume], "volumeMounts": [mount]})["spec"]
    assert after["volumes"] == [*before["volumes"], volume]
    assert after["initContainers"] == before["initContainers"]
    (old,), (new,) = before["containers"], after["containers"]
    assert new["env"] == [*old.get("env", []), env]
    assert new["volumeMounts"] == [*old["volumeMounts"], mount]


@pytest.mark.parametrize("block", BLOCKS)
def test_the_security_context_is_merged_and_null_removes(block: str) -> None:
    context = template(block, {"securityContext": {"runAsUser": None, "fsGroup": 1000680000}})["spec"][
        "securityContext"
    ]
    expected = {**plain(block)["spec"]["securityContext"], "fsGroup": 1000680000}
    del expected["runAsUser"]
    assert context == expected


def test_any_user_can_run_the_pods() -> None:
    for name, found in pod_templates(render("--values", CHART / "ci/pods-values.yaml")):
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(found["spec"]["securityContext"]), name


def test_the_schema_job_and_helm_test_run_on_the_same_nodes() -> None:
    for name, found in pod_templates(render("--set-json", f"pod={json.dumps(SCHEDULING)}")):
        expected = None if "models" in name or "cassandra" in name else SCHEDULING
        assert ({key: found["spec"][key] for key in SCHEDULING if key in found["spec"]} or None) == expected, name


@pytest.mark.parametrize(
    ("affinity", "kinds"),
    [
        ({}, ["podAntiAffinity"]),
        ({"nodeAffinity": {}}, ["nodeAffinity", "podAntiAffinity"]),
        ({"podAntiAffinity": {}}, ["podAntiAffinity"]),
    ],
)
def test_cassandra_nodes_stay_on_different_machines(affinity: dict[str, Any], kinds: list[str]) -> None:
    found = template("cassandra.pod", {"affinity": affinity}, "--set", "cassandra.nodes=3")["spec"]["affinity"]
    assert sorted(found) == kinds
    if affinity.get("podAntiAffinity") != {}:
        assert "requiredDuringSchedulingIgnoredDuringExecution" in found["podAntiAffinity"]


@pytest.mark.parametrize(
    ("block", "value", "reason"),
    [
        ("pod", {"nodeSelctor": {}}, "nodeSelctor"),
        ("pod", {"nodeSelector": {"a": 1}}, "/pod/nodeSelector/a"),
        ("pod", {"labels": {"app.kubernetes.io/name": "own"}}, "invalid propertyName"),
        ("pod", {"env": [{"value": "x"}]}, "/pod/env/0"),
        ("pod", {"env": [{"name": "LOOKBOOK_WORKERS", "value": "2"}]}, "set it under settings instead"),
        ("pod", {"volumes": [{"name": "model"}]}, "/pod/volumes/0/name"),
        ("models.pod", {"volumes": [{"name": "volume"}]}, "/models/pod/volumes/0/name"),
        ("cassandra.pod", {"env": [{"name": "HOME", "value": "/"}]}, "/cassandra/pod/env/0/name"),
        ("cassandra.pod", {"securityContext": {"privileged": True}}, "privileged"),
    ],
)
def test_what_kubernetes_or_the_chart_cannot_use_is_refused(block: str, value: Object, reason: str) -> None:
    result = helm_template("--set-json", f"{block}={json.dumps(value)}")
    assert result.returncode != 0
    assert reason in result.stderr
