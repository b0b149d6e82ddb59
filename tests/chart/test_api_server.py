"""Installations and upgrades as an API server accepts them; tests/e2e tests what then runs."""

from pathlib import Path

import pytest

from tests.support.api_server import ApiServer
from tests.support.chart import helm_template
from tests.support.checkouts import released
from tests.support.places import CHART

KINDS = (
    "deployments,statefulsets,jobs,cronjobs,services,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,"
    "poddisruptionbudgets,horizontalpodautoscalers,persistentvolumeclaims"
)
NO_CRDS = ("--set", "monitoring.serviceMonitor=false,monitoring.alerts=false,httpRoute.enabled=false")


@pytest.fixture(scope="module")
def old_chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart as 0.1.0 released it."""
    return released(tmp_path_factory.mktemp("released"), "charts/lookbook") / "charts/lookbook"


def versions(server: ApiServer, namespace: str) -> dict[str, str]:
    """The version that the server gives each object; it changes whenever the object does."""
    return {
        f"{item['kind']} {item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for item in server.objects(namespace, KINDS)
    }


def test_every_example_installs_and_a_second_upgrade_changes_nothing(
    server: ApiServer, namespace: str, values: list[object]
) -> None:
    helm = ("helm", "--namespace", namespace)
    server.run(*helm, "install", "prod", CHART, *values, *NO_CRDS)
    server.run(*helm, "upgrade", "prod", CHART, *values, *NO_CRDS)
    before = versions(server, namespace)
    server.run(*helm, "upgrade", "prod", CHART, "--reuse-values")
    assert versions(server, namespace) == before


def test_a_deleted_schema_job_comes_back(server: ApiServer, namespace: str) -> None:
    helm = ("helm", "--namespace", namespace)
    server.run(*helm, "install", "prod", CHART)
    before = versions(server, namespace)
    server.run("kubectl", "--namespace", namespace, "delete", "job", "--all")
    server.run(*helm, "upgrade", "prod", CHART, "--reuse-values")
    assert versions(server, namespace).keys() == before.keys()


@pytest.mark.parametrize("mode", ["--reuse-values", "--reset-then-reuse-values"])
def test_a_release_of_0_1_0_upgrades_in_place(server: ApiServer, namespace: str, old_chart: Path, mode: str) -> None:
    helm = ("helm", "--namespace", namespace)
    server.run(*helm, "install", "prod", old_chart, "--set", "settings.retention=2592000,replicas=3")
    kept = {item["metadata"]["uid"] for item in server.objects(namespace, "statefulsets,persistentvolumeclaims")}
    server.run(*helm, "upgrade", "prod", CHART, mode)
    assert {
        item["metadata"]["uid"] for item in server.objects(namespace, "statefulsets,persistentvolumeclaims")
    } == kept
    (deployment,) = [item for item in server.objects(namespace, "deployments") if item["metadata"]["name"] == "prod"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("lookbook:")
    assert not container["image"].endswith(":0.1.0")
    assert {"name": "LOOKBOOK_RETENTION", "value": "2592000"} in container["env"]


def test_releases_share_a_namespace(server: ApiServer, namespace: str) -> None:
    for release in ("one", "two", "a" * 53):
        server.run("helm", "--namespace", namespace, "install", release, CHART)
    assert len(server.objects(namespace, "statefulsets")) == 3


def test_gitops_sees_no_drift(server: ApiServer, namespace: str, tmp_path: Path) -> None:
    """Argo CD and Flux apply what Helm renders, again and again."""
    manifests = tmp_path / "manifests.yaml"
    manifests.write_text(helm_template("--namespace", namespace).stdout)
    kubectl = ("kubectl", "--namespace", namespace)
    apply = (*kubectl, "apply", "--server-side", "--field-manager=gitops", "--filename", manifests)
    server.run(*apply)
    assert server.run(*kubectl, "diff", "--server-side", "--field-manager=gitops", "--filename", manifests) == ""
    server.run(*apply)
    before = versions(server, namespace)
    server.run(*apply)
    assert versions(server, namespace) == before
