"""The commands for a cluster on the pages of docs/, run exactly as written."""

import base64
import functools
from collections.abc import Callable

import pytest
import requests

from tests.support.cluster import RELEASE, URL, Cluster, served
from tests.support.cluster_calls import classify
from tests.support.cluster_load import load, nothing_failed
from tests.support.pages import block
from tests.support.places import CHART, PHOTOS, ROOT
from tests.support.running import until


def stored() -> dict[str, bytes]:
    """Every thumbnail, by id."""
    items = requests.get(f"{URL}/v1/predictions", {"limit": 1000}, timeout=10).json()["items"]
    thumbnails = {}
    for item in items:
        response = requests.get(f"{URL}/v1/predictions/{item['id']}/thumbnail", timeout=10)
        assert response.status_code == 200
        thumbnails[item["id"]] = response.content
    return thumbnails


def test_on_kind(walk: Callable[..., str]) -> None:
    printed = walk("tutorials/kind.md", "install", "look")
    assert "Succeeded" in printed


@pytest.fixture
def installed(cluster: Cluster, walk: Callable[..., str]) -> None:
    """The release as the page installs it."""
    if not cluster.is_whole(service=2, models=1, cassandra=1):
        walk("tutorials/kind.md", "install")
        cluster.until_whole(service=2, models=1, cassandra=1)
    served()


@pytest.mark.usefixtures("installed")
def test_backup_and_restore(cluster: Cluster, walk: Callable[..., str]) -> None:
    for path in sorted(PHOTOS.glob("*.jpg")):
        classify(path)
    kept = stored()
    assert len(kept) > 12
    walk("how-to/backup.md", "kubernetes", "cassandra-backup")
    cluster.helm("uninstall", RELEASE, "--wait")
    cluster.kubectl("delete", "pvc", f"data-{RELEASE}-cassandra-0", "--wait")
    walk("tutorials/kind.md", "install")
    assert len(stored()) == 1
    walk("how-to/backup.md", "kubernetes", "cassandra-restore")
    found = stored()
    assert {id: found.get(id) for id in kept} == kept


@pytest.mark.usefixtures("installed")
def test_a_backup_of_the_chart(cluster: Cluster, walk: Callable[..., str]) -> None:
    classify()
    kept = stored()
    walk("how-to/backup.md", "chart-backup", files={"backups.yaml": block(ROOT / "docs/how-to/backup.md", "yaml")})
    cluster.helm("uninstall", RELEASE, "--wait")
    cluster.kubectl("delete", "pvc", f"data-{RELEASE}-cassandra-0", "--wait")
    walk("tutorials/kind.md", "install")
    backups = "backup.schedule=0 3 * * *,backup.existingClaim=lookbook-backups"
    cluster.helm("upgrade", RELEASE, CHART, "--reuse-values", "--set", backups, "--wait")
    assert len(stored()) == 1
    walk("how-to/backup.md", "chart-restore")
    found = stored()
    assert {id: found.get(id) for id in kept} == kept


@pytest.mark.usefixtures("installed")
def test_a_model_rolled_out_and_back(walk: Callable[..., str]) -> None:
    with load() as running:
        printed = walk("how-to/models.md", "publish")
        served()
        assert requests.get(f"{URL}/v1/model", timeout=10).json()["name"] == "fashion-mnist-mlp"
        walk("how-to/models.md", "back")
        served()
    nothing_failed(running)
    # The command that the page gives is the one that publish prints.
    (line,) = [line for line in printed.splitlines() if line.startswith("to roll it out")]
    words = line.partition(": ")[2].split()
    assert {word for word in words if not word.startswith(("--namespace", "e2e-"))} <= set(
        (ROOT / "docs/how-to/models.md").read_text().split()
    )


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("whose", ["service", "admin"])
def test_a_password(cluster: Cluster, walk: Callable[..., str], whose: str) -> None:
    def password() -> str:
        secret = cluster.core.read_namespaced_secret(f"{RELEASE}-cassandra-{whose}", cluster.namespace)
        return str(secret.data["password"])

    old = password()
    with load() as running:
        walk("how-to/passwords.md", whose)
    nothing_failed(running)
    assert password() != old
    assert classify() == "Shirt"


@pytest.mark.usefixtures("installed")
def test_an_upgrade_and_back(walk: Callable[..., str]) -> None:
    with load() as running:
        walk("how-to/upgrade.md", "cluster")
        walk("how-to/upgrade.md", "cluster-back")
    nothing_failed(running)


def is_accepted(token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{URL}/v1/predictions", headers=headers, timeout=10).status_code == 200


@pytest.mark.usefixtures("installed")
def test_tokens(cluster: Cluster, walk: Callable[..., str]) -> None:
    walk("how-to/tokens.md", "cluster")
    assert requests.get(f"{URL}/v1/predictions", timeout=10).status_code == 401
    walk("how-to/tokens.md", "cluster-new")
    found = cluster.core.read_namespaced_secret("lookbook-tokens", cluster.namespace).data["tokens"]
    tokens = base64.b64decode(found).decode().split()
    assert len(tokens) == 2
    for token in tokens:
        until(functools.partial(is_accepted, token), 180)
    cluster.helm("rollback", RELEASE, "--wait", "--timeout", "300s")
    served()
