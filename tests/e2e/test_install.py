"""The chart's defaults: what is installed, what an uninstall keeps, and what a new installation finds."""

from collections.abc import Callable

import pytest
import yaml

from tests.support.chart import default_image
from tests.support.cluster import RELEASE, Cluster, served
from tests.support.cluster_calls import classify, ids
from tests.support.cluster_load import load
from tests.support.running import docker, until

pytestmark = pytest.mark.usefixtures("defaults")


def test_pods_on_different_nodes_have_the_verified_model(cluster: Cluster) -> None:
    cluster.until_ready("service", 2)
    pods = cluster.ready("service")
    assert len({pod.spec.node_name for pod in pods}) == 2
    for pod in pods:
        marker = cluster.kubectl("exec", pod.metadata.name, "--container=service", "--", "cat", "/model/READY")
        assert f"--digest={marker.strip()}" in pod.spec.init_containers[0].args
    (claim,) = cluster.core.list_namespaced_persistent_volume_claim(
        cluster.namespace, field_selector=f"metadata.name={RELEASE}-models"
    ).items
    assert claim.spec.access_modes == ["ReadWriteOnce"]


def test_a_second_upgrade_runs_no_schema_job(cluster: Cluster, upgrade: Callable[..., str]) -> None:
    def jobs() -> list[str]:
        return [job.metadata.uid for job in cluster.batch.list_namespaced_job(cluster.namespace).items]

    upgrade()
    before = jobs()
    upgrade()
    assert jobs() == before


def test_the_schema_job_can_run_again_and_changes_nothing(cluster: Cluster, upgrade: Callable[..., str]) -> None:
    before = {secret.metadata.uid for secret in cluster.core.list_namespaced_secret(cluster.namespace).items}
    cluster.delete_schema_job()
    upgrade()

    def done() -> bool:
        found = cluster.batch.list_namespaced_job(cluster.namespace).items
        return [job.status.succeeded for job in found] == [1]

    until(done, 120)
    after = {secret.metadata.uid for secret in cluster.core.list_namespaced_secret(cluster.namespace).items}
    assert before < after  # only Helm's record of the upgrade is new
    assert classify() == "Shirt"


def test_the_notes_say_how_to_try_it_and_who_has_access(cluster: Cluster) -> None:
    notes = cluster.helm("get", "notes", RELEASE)
    assert "curl --retry 9 --retry-connrefused -F image=@photo.jpg http://127.0.0.1:8080/api/tasks/upload" in notes
    assert "Anyone who can reach the Service lookbook can read, add, and delete predictions" in notes


@pytest.mark.parametrize(("image", "megabytes"), [("service", 350), ("modelInit", 260)])
def test_images_are_small(image: str, megabytes: int) -> None:
    assert int(docker("image", "inspect", "--format={{.Size}}", default_image(image))) <= megabytes * 1_000_000


def test_a_single_cassandra_node_syncs_each_write_and_requires_passwords(cluster: Cluster) -> None:
    text = cluster.kubectl(
        "exec", f"{RELEASE}-cassandra-0", "--container=cassandra", "--", "cat", "/etc/cassandra/cassandra.yaml"
    )
    settings = yaml.safe_load(text)
    assert settings["commitlog_sync"] == "batch"
    assert "PasswordAuthenticator" in str(settings["authenticator"])
    assert "CassandraAuthorizer" in str(settings["authorizer"])


def test_the_default_superuser_of_cassandra_cannot_log_in(cluster: Cluster) -> None:
    output = cluster.kubectl(
        "exec",
        f"{RELEASE}-cassandra-0",
        "--",
        "cqlsh",
        "-u",
        "cassandra",
        "-p",
        "cassandra",
        "-e",
        "LIST ROLES",
        ok=False,
    )
    assert "cassandra is not permitted to log in" in output


_CONNECT = """
import socket
for name, port in {targets}:
    try:
        socket.create_connection((name, port), 3).close()
        print("open", name, port)
    except OSError as error:
        print("refused", name, port, error)
"""


def test_a_stray_pod_reaches_neither_cassandra_nor_the_models(cluster: Cluster) -> None:
    targets = [(f"{RELEASE}-cassandra", 9042), (f"{RELEASE}-cassandra", 7000), (f"{RELEASE}-models", 8080)]
    image = cluster.ready("service")[0].spec.containers[0].image
    output = cluster.stray("stray", image, _CONNECT.format(targets=[*targets, (RELEASE, 80)]))
    assert [line.split()[0] for line in output.splitlines()] == ["refused"] * 3 + ["open"]
    # A pod with the service's labels can connect, which shows that the policy refused the first pod.
    labels = cluster.ready("service")[0].metadata.labels | {"pod-template-hash": "none"}
    allowed, forbidden = [targets[0], targets[2]], [targets[1], ("kubernetes.default", 443)]
    output = cluster.stray("not-stray", image, _CONNECT.format(targets=allowed + forbidden), labels)
    assert [line.split()[0] for line in output.splitlines()] == ["open"] * 2 + ["refused"] * 2


def test_the_only_cassandra_node_deleted(cluster: Cluster) -> None:
    restarts = {pod.metadata.name: pod.status.container_statuses[0].restart_count for pod in cluster.ready("service")}
    with load() as running:
        cluster.delete_pod(f"{RELEASE}-cassandra-0")
        until(lambda: running.codes[503] > 20)
        until(lambda: not cluster.ready("cassandra"))
        cluster.until_ready("cassandra", 1)
        back = running.seconds
        stored = len(running.stored)
        until(lambda: len(running.stored) > stored, 10)
    assert set(running.codes) == {201, 503}, running.failures[:10]
    late = [failure for failure in running.failures if failure[0] > back + 10]
    assert not late, late[:5]
    after = {pod.metadata.name: pod.status.container_statuses[0].restart_count for pod in cluster.ready("service")}
    assert after == restarts


KEPT = {
    "secret/lookbook-cassandra-admin",
    "secret/lookbook-cassandra-service",
    "persistentvolumeclaim/data-lookbook-cassandra-0",
    "persistentvolumeclaim/lookbook-models",
}


def leftovers(cluster: Cluster) -> set[str]:
    """What is in the namespace besides what every namespace has."""
    kinds = "all,secrets,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,pvc"
    names = cluster.kubectl("get", kinds, "--output=name").split()
    return set(names) - {"configmap/kube-root-ca.crt", "serviceaccount/default"}


def test_a_lost_secret(cluster: Cluster, upgrade: Callable[..., str]) -> None:
    """If the data is kept but its Secrets are lost, the schema Job says what to do, and that works."""
    assert classify() == "Shirt"
    kept = ids()
    cluster.helm("uninstall", RELEASE, "--wait")
    until(lambda: leftovers(cluster) == KEPT, 60)
    for name in ("admin", "service"):
        cluster.core.delete_namespaced_secret(f"{RELEASE}-cassandra-{name}", cluster.namespace)
    cluster.delete_schema_job()
    upgrade(wait=False)
    until(lambda: "see 'Replace a lost Secret'" in cluster.schema_log(), 120)
    cluster.follow("lost-secret")
    cluster.until_rolled_out()
    served()
    assert kept <= ids()
    assert classify() == "Shirt"


def test_a_new_installation_has_the_earlier_predictions(cluster: Cluster, upgrade: Callable[..., str]) -> None:
    assert classify() == "Shirt"
    kept = ids()
    cluster.helm("uninstall", RELEASE, "--wait")
    upgrade()
    served()
    assert kept == ids()
    assert classify() == "Shirt"
