"""What the chart prepares for `lookbook batch classify --on-cluster`."""

from typing import Any

import click
from lookbook.cli.main import main

from tests.support.chart import BATCH_TEMPLATES, Object, named, render
from tests.support.places import CHART

BATCH = ("--values", CHART / "ci/batch-values.yaml")


def names(items: list[Object]) -> set[str]:
    return {f"{item['kind']} {item['metadata']['name']}" for item in items}


def driver(*values: object, release: str = "lookbook") -> Any:
    return named(render(*BATCH, *values, release=release), "Job", f"{release}-batch")["spec"]["template"]


def executor(*values: object, release: str = "lookbook") -> Any:
    return named(render(*BATCH, *values, release=release), "Pod", f"{release}-batch-executor")


def allowed(policy: Object, labels: dict[str, str]) -> bool:
    """Whether the policy is for pods with these labels."""
    selector = policy["spec"]["podSelector"]
    return selector["matchLabels"].items() <= labels.items() and all(
        labels.get(wanted["key"]) in wanted["values"] for wanted in selector.get("matchExpressions", [])
    )


def peers(rule: Object, labels: dict[str, str]) -> bool:
    """Whether the ingress rule lets in pods with these labels."""
    return any(allowed({"spec": peer}, labels) for peer in rule["from"])


def test_there_is_nothing_by_default() -> None:
    assert not [name for name in names(render()) if "batch" in name]


def test_only_the_driver_has_a_token_and_it_is_for_pods_alone() -> None:
    items = render(*BATCH)
    spec = driver()["spec"]
    holders = [
        container["name"]
        for pod in (spec, executor()["spec"])
        for container in pod["initContainers"] + pod["containers"]
        for mount in container["volumeMounts"]
        if "serviceaccount" in mount["mountPath"]
    ]
    assert holders == ["driver"]
    binding = named(items, "RoleBinding", "lookbook-batch")
    assert [subject["name"] for subject in binding["subjects"]] == [spec["serviceAccountName"]]
    (rule,) = named(items, "Role", binding["roleRef"]["name"])["rules"]
    assert (rule["apiGroups"], rule["resources"]) == ([""], ["pods"])
    assert executor()["spec"]["serviceAccountName"] == "lookbook"


def test_the_pods_reach_cassandra_the_models_and_each_other() -> None:
    items = render(*BATCH)
    for pod in (driver(), executor()):
        labels = pod["metadata"]["labels"]
        policies = [item for item in items if item["kind"] == "NetworkPolicy" and allowed(item, labels)]
        egress = [port["port"] for item in policies for rule in item["spec"]["egress"] for port in rule["ports"]]
        assert {53, 9042, 7078, 7079, 8080, 8020, 9866} <= set(egress)
        assert (443 in egress) == (labels["app.kubernetes.io/component"] == "batch-driver")
        for target in ("cassandra", "models", "batch"):
            ingress = named(items, "NetworkPolicy", f"lookbook-{target}")["spec"]["ingress"][0]
            assert peers(ingress, labels), target


def test_the_pods_of_a_shared_ring_are_let_in() -> None:
    shared = ("--values", CHART / "ci/shared-ring-values.yaml", *BATCH)
    for pod in (driver(*shared, release="second"), executor(*shared, release="second")):
        assert pod["metadata"]["labels"]["first-cassandra-client"] == "true"


def test_both_have_the_model_and_the_certificate() -> None:
    own = ("--values", CHART / "ci/external-values.yaml", "--set", "model.existingClaim=models")
    for pod in (driver(*own), executor(*own)):
        (init,), (container,) = pod["spec"]["initContainers"], pod["spec"]["containers"]
        assert "--source=/volume" in init["args"]
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert mounts["/model"] == "model"
        assert mounts["/etc/lookbook/cassandra"] == "cassandra-ca"
        assert {volume["name"] for volume in pod["spec"]["volumes"]} >= {"model", "models", "tmp", "cassandra-ca"}


def test_the_command_knows_the_arguments_of_the_driver() -> None:
    (container,) = driver()["spec"]["containers"]
    group, name, *options = container["args"]
    batch = main.commands[group]
    assert isinstance(batch, click.Group)
    context = batch.commands[name].make_context(name, [*options, "--job=a", "images"])
    conf = context.params["conf"]
    image = conf["spark.kubernetes.container.image"]
    assert image == container["image"] == executor()["spec"]["containers"][0]["image"]
    folder, _, file = conf["spark.kubernetes.executor.podTemplateFile"].rpartition("/")
    assert folder in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert file in BATCH_TEMPLATES
    given = {f"$({entry['name']})" for entry in container["env"]}
    assert {conf["spark.driver.host"], conf["spark.kubernetes.driver.pod.name"]} <= given
