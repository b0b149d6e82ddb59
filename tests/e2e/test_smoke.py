"""Install, classify, upgrade: what must work after each change."""

import json
import urllib.request
from collections.abc import Callable

import pytest

from tests.support.cluster import RELEASE, Cluster, seconds_of, served
from tests.support.cluster_calls import classify
from tests.support.places import CHART, PHOTOS


def test_installed_and_served_within_75_seconds(cluster: Cluster) -> None:
    def install() -> None:
        cluster.helm("install", RELEASE, CHART, "--wait", "--timeout", "120s")
        with cluster.forwarded(f"svc/{RELEASE}", 80) as url:
            request = urllib.request.Request(f"{url}/v1/predictions", (PHOTOS / "shirt.jpg").read_bytes())
            request.add_header("Content-Type", "image/jpeg")
            with urllib.request.urlopen(request, timeout=10) as response:
                assert json.load(response)["label"] == "Shirt"

    cluster.helm("uninstall", RELEASE, "--ignore-not-found", "--wait")
    assert seconds_of(install) < 75


def test_upgraded_and_an_image_classified(upgrade: Callable[..., str]) -> None:
    upgrade()
    served()
    assert classify() == "Shirt"


@pytest.mark.usefixtures("defaults")
def test_helm_test(cluster: Cluster) -> None:
    assert "Succeeded" in cluster.helm("test", RELEASE)
