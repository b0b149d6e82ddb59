"""The Service, its ServiceAccount, and the volumes of Cassandra, as the values change them."""

import pytest

from tests.support.chart import Object, helm_template, named, render


def service(*values: str) -> Object:
    return named(render("--set", ",".join(values)), "Service", "lookbook")


def test_annotations_are_those_of_the_values() -> None:
    assert service("service.annotations.a=b")["metadata"]["annotations"] == {"a": "b"}
    account = named(render("--set", "serviceAccount.annotations.role=lookbook"), "ServiceAccount", "lookbook")
    assert account["metadata"]["annotations"] == {"role": "lookbook"}


def test_only_a_load_balancer_has_a_class() -> None:
    own = "service.loadBalancerClass=example.com/internal"
    assert service(own, "service.type=LoadBalancer")["spec"]["loadBalancerClass"] == "example.com/internal"
    assert "loadBalancerClass" not in service(own)["spec"]


def test_the_ip_families_are_those_of_the_values() -> None:
    assert service("service.ipFamilyPolicy=PreferDualStack")["spec"]["ipFamilyPolicy"] == "PreferDualStack"
    assert "ipFamilyPolicy" not in service("service.port=80")["spec"]


def test_the_pods_of_the_service_ask_each_other() -> None:
    items = render()
    peers = named(items, "Service", "lookbook-peers")["spec"]
    pod = named(items, "Deployment", "lookbook")["spec"]["template"]
    policy = named(items, "NetworkPolicy", "lookbook")["spec"]
    assert peers["clusterIP"] == "None"
    assert peers["selector"].items() <= pod["metadata"]["labels"].items()
    (container,) = pod["spec"]["containers"]
    assert {"name": "LOOKBOOK_PEERS", "value": "lookbook-peers:8080"} in container["env"]
    to_peers = {"ports": [{"port": 8080}], "to": [{"podSelector": {"matchLabels": peers["selector"]}}]}
    assert to_peers in policy["egress"]


def test_kubernetes_can_delete_the_volumes_of_cassandra() -> None:
    key = "persistentVolumeClaimRetentionPolicy"
    items = render("--set", f"cassandra.{key}.whenDeleted=Delete")
    assert named(items, "StatefulSet", "lookbook-cassandra")["spec"][key] == {"whenDeleted": "Delete"}
    assert key not in named(render(), "StatefulSet", "lookbook-cassandra")["spec"]


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("service.ipFamilyPolicy=Both", "service/ipFamilyPolicy"),
        ("cassandra.persistentVolumeClaimRetentionPolicy.whenDeleted=Keep", "whenDeleted"),
        ("service.annotations.a.b=c", "service/annotations"),
    ],
)
def test_a_wrong_value_is_refused(setting: str, reason: str) -> None:
    result = helm_template("--set", setting)
    assert result.returncode != 0
    assert reason in result.stderr
