"""Releases that share the tables of one Cassandra ring."""

import pytest

from tests.support.chart import helm_template, named, render
from tests.support.places import CHART

SHARED = ("--values", CHART / "ci/shared-ring-values.yaml")


def test_only_the_release_with_the_schema_job_creates_tables_and_secrets() -> None:
    items = render(*SHARED, release="second")
    names = {f"{item['kind']} {item['metadata']['name']}" for item in items}
    assert not [name for name in names if "schema" in name or name.startswith(("Job", "Role", "StatefulSet"))]


def test_the_other_checks_the_tables_as_the_role_of_the_service() -> None:
    service = named(render(*SHARED, release="second"), "Deployment", "second")["spec"]["template"]["spec"]
    check = service["initContainers"][-1]
    assert check["args"][:2] == ["schema", "--check"]
    given = {entry["name"]: entry for entry in service["containers"][0]["env"]}
    assert all(given[entry["name"]] == entry for entry in check["env"])
    assert {"name": "LOOKBOOK_CASSANDRA_CONTACT_POINTS", "value": "first-cassandra"} in check["env"]


def test_the_ring_lets_the_other_release_in() -> None:
    other = named(render(*SHARED, release="second"), "Deployment", "second")["spec"]["template"]["metadata"]["labels"]
    ring = named(render(release="first"), "NetworkPolicy", "first-cassandra")["spec"]["ingress"]
    (cql,) = [rule for rule in ring if rule["ports"] == [{"port": "cql"}]]
    wanted = [peer["podSelector"]["matchLabels"] for peer in cql["from"]]
    assert [labels.items() <= other.items() for labels in wanted] == [False, True]


@pytest.mark.parametrize(
    "values", ["cassandra.schema=false", "cassandra.schema=false,cassandra.nodes=0,cassandra.contactPoints=ring"]
)
def test_a_ring_and_a_secret_of_another_release_are_required(values: str) -> None:
    result = helm_template("--set", values)
    assert result.returncode
    assert "/cassandra/" in result.stderr
