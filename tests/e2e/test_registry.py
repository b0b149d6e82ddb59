"""Install without a checkout: the chart and the container images come from a registry."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chart import default_image
from tests.support.cluster import OPTIONS, RELEASE, Cluster, run, served, values
from tests.support.cluster_calls import classify
from tests.support.places import ROOT
from tests.support.registry import registry
from tests.support.running import docker

IMAGES = [default_image("service"), default_image("modelInit")]


@pytest.fixture
def pushed(cluster: Cluster, tmp_path: Path) -> Iterator[str]:
    """The address of a registry with what `make push` pushes."""
    with registry(cluster.workers(), tmp_path) as address:
        for image in IMAGES:
            docker("tag", image, f"{address}/{image}")
            docker("push", f"{address}/{image}")
            docker("image", "rm", f"{address}/{image}")
        run("make", "package", f"REGISTRY={address}")
        (package,) = (ROOT / "build").glob("lookbook-*.tgz")
        run("helm", "push", package, f"oci://{address}/charts", "--plain-http")
        yield address


def test_installed_from_a_registry(cluster: Cluster, pushed: str) -> None:
    chart = f"oci://{pushed}/charts/lookbook"
    assert "# The model to serve." in run("helm", "show", "values", chart, "--plain-http")
    cluster.helm("install", RELEASE, chart, "--plain-http", "--wait", "--timeout", "300s", *values(OPTIONS))
    served()
    assert classify() == "Shirt"
    used = {container.image for pod in cluster.ready("service") for container in pod.spec.containers}
    assert used == {f"{pushed}/{IMAGES[0]}"}
