"""A release of 0.1.0 that is upgraded, releases with one list and with two, and a release that runs as any user."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.checkouts import released
from tests.support.cluster import OPTIONS, RELEASE, SMALL, Cluster, run, served, values
from tests.support.cluster_calls import classify, ids
from tests.support.places import CHART, GOLDEN, PHOTOS
from tests.support.running import until

OLD = "0.1.0"
WAIT = ("--wait", "--timeout", "300s")


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[None]:
    """Removes all releases afterward, with their volumes and Secrets."""
    yield
    for release in cluster.helm("list", "--short").split():
        cluster.helm("uninstall", release, "--wait")
    cluster.kubectl("delete", "pvc,secrets,jobs", "--all")


@pytest.fixture(scope="module")
def old_chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart of 0.1.0; its container images are built and loaded into the cluster."""
    folder = released(tmp_path_factory.mktemp("released"))
    images = {f"lookbook:{OLD}": "Dockerfile", f"lookbook-model-init:{OLD}": "model-init/Dockerfile"}
    for image, dockerfile in images.items():
        run("docker", "build", "--tag", image, "--file", folder / dockerfile, folder, seconds=900)
    run("kind", "load", "docker-image", *images)
    return folder / "charts/lookbook"


@pytest.mark.usefixtures("empty")
def test_a_release_of_0_1_0_is_upgraded_and_rolled_back(cluster: Cluster, old_chart: Path) -> None:
    cluster.helm("install", "prod", old_chart, *WAIT, *values(OPTIONS))
    served()
    assert classify() == "Shirt"
    kept = ids()
    for mode in ("--reuse-values", "--reset-then-reuse-values"):
        cluster.helm("upgrade", "prod", CHART, mode, *WAIT)
        served()
        assert ids() >= kept
        assert classify() == "Shirt"
        kept = ids()
        cluster.helm("rollback", "prod", "1", *WAIT)
        served()
        assert ids() == kept


def predictions(cluster: Cluster, release: str, image: Path | None = None) -> dict[str, str]:
    """The model of each prediction that a release lists, by id, after it has classified the image."""
    with cluster.forwarded(f"svc/{release}", 80) as url:
        if image:
            response = requests.post(f"{url}/v1/predictions", files={"image": image.read_bytes()}, timeout=10)
            assert response.status_code == 201, response.text
        items = requests.get(f"{url}/v1/predictions", timeout=10).json()["items"]
    return {item["id"]: item["model"]["name"] for item in items}


@pytest.mark.usefixtures("empty")
def test_two_models_share_one_list(cluster: Cluster) -> None:
    with cluster.shared_models("models"):
        cluster.follow("shared")
        predictions(cluster, "first", PHOTOS / "shirt.jpg")
        found = predictions(cluster, "second", GOLDEN[0])
        assert sorted(found.values()) == ["fashion-mnist-mlp", "lookbook-clothes"]
        assert predictions(cluster, "first") == found
        cluster.helm("upgrade", "second", CHART, "--reuse-values", "--set", "settings.retention=86400")
        pods = ("--selector", "app.kubernetes.io/instance=second", "--container=schema")
        until(lambda: "created with a different retention" in cluster.kubectl("logs", *pods, ok=False), 120)
        assert predictions(cluster, "second") == found


@pytest.mark.usefixtures("empty")
def test_two_releases_have_rings_of_their_own(cluster: Cluster) -> None:
    releases = ("first", "second")
    for release in releases:
        cluster.helm("install", release, CHART, *WAIT, *values(SMALL))
    made = {release: predictions(cluster, release, PHOTOS / "shirt.jpg") for release in releases}
    assert [len(found) for found in made.values()] == [1, 1]
    assert made["first"].keys() != made["second"].keys()
    assert {release: predictions(cluster, release) for release in releases} == made


# What OpenShift gives to the pods of a namespace.
USER = {"runAsUser": 1000680000, "runAsGroup": 0, "fsGroup": 1000680000}


@pytest.mark.usefixtures("empty")
def test_everything_runs_as_any_user(cluster: Cluster) -> None:
    pods: dict[str, object] = {f"{name}pod.securityContext": USER for name in ("", "models.", "cassandra.")}
    cluster.helm("install", RELEASE, CHART, *WAIT, *values({**OPTIONS, **pods}))
    served()
    assert classify() == "Shirt"
    for pod in (f"deployment/{RELEASE}", f"deployment/{RELEASE}-models", f"statefulset/{RELEASE}-cassandra"):
        assert cluster.kubectl("exec", pod, "--", "id", "-u").split()[0] == "1000680000", pod
    assert "Succeeded" in cluster.helm("test", RELEASE)
