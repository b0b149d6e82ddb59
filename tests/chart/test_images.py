"""Which container images the pods run, and with which Secrets they are pulled."""

import pytest
import yaml

from tests.support.chart import Object, containers, helm_template, pod_specs, render
from tests.support.places import CHART

VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
DIGEST = f"sha256:{'0' * 64}"


def images(items: list[Object]) -> dict[str, str]:
    """The image of each container, by its name."""
    return {name.rpartition(" ")[2]: container["image"] for name, container in containers(items)}


def test_images_have_the_version_of_the_chart() -> None:
    found = images(render())
    assert found.pop("cassandra") == found.pop("settings") == "cassandra:5.0.8"
    assert {found.pop(name) for name in ("service", "schema", "test")} == {f"lookbook:{VERSION}"}
    assert set(found.values()) == {f"lookbook-model-init:{VERSION}"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("service=registry.example/lookbook:own", "registry.example/lookbook:own"),
        ("service.registry=registry.example:5000", f"registry.example:5000/lookbook:{VERSION}"),
        ("service.repository=own", f"own:{VERSION}"),
        ("service.tag=next", "lookbook:next"),
        (f"service.digest={DIGEST}", f"lookbook@{DIGEST}"),
    ],
)
def test_an_image_is_a_reference_or_a_map(values: str, expected: str) -> None:
    assert images(render("--set", f"images.{values}"))["service"] == expected


def test_one_registry_serves_all_images() -> None:
    found = images(render("--set", "global.imageRegistry=mirror.example,images.service.registry=registry.example"))
    assert {image.split("/")[0] for image in found.values()} == {"mirror.example"}


def test_global_pull_secrets_are_added_once() -> None:
    """A parent chart may list only their names."""
    secrets = ("--set-json", 'imagePullSecrets=[{"name": "own"}, {"name": "shared"}]')
    items = render("--set-json", 'global.imagePullSecrets=["y", {"name": "shared"}]', *secrets)
    for name, spec in pod_specs(items):
        assert spec["imagePullSecrets"] == [{"name": "y"}, {"name": "shared"}, {"name": "own"}], name


@pytest.mark.parametrize("value", ["service=", "service.repository=", "service.digest=abc", "service.nme=x", "other=x"])
def test_an_impossible_image_is_refused(value: str) -> None:
    result = helm_template("--set", f"images.{value}")
    assert result.returncode != 0
    assert "images" in result.stderr
