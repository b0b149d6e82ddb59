"""values.yaml, its schema, and what the templates make of them."""

import json
import re
from collections.abc import Iterable

import pytest
from lookbook.model.bundle import read_bundle
from lookbook.settings import Settings

from tests.support.chart import Object, default_values, helm_template, pod_specs, render, value_comments
from tests.support.places import CHART, CLOTHES

SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())


def properties(schema: Object, prefix: str = "") -> dict[str, Object]:
    """The properties of the schema by their path, references resolved."""
    found = {}
    for name, entry in schema.get("properties", {}).items():
        target = SCHEMA["definitions"][entry["$ref"].rpartition("/")[2]] if "$ref" in entry else {}
        found[prefix + name] = {**target, **entry}
        found |= properties(found[prefix + name], f"{prefix}{name}.")
    return found


def paths(values: Object, prefix: str = "") -> dict[str, object]:
    """The values by their path, including maps."""
    found: dict[str, object] = {}
    for name, entry in values.items():
        found[prefix + name] = entry
        found |= paths(entry, f"{prefix}{name}.") if isinstance(entry, dict) else {}
    return found


def of_this_chart(names: Iterable[str]) -> set[str]:
    """The paths without those inside resources and images."""
    return {name for name in names if not re.search(r"\bresources\.|\bimages\.\w+\.", name)}


def test_the_defaults_name_the_bundle_that_ships() -> None:
    bundle = read_bundle(CLOTHES)
    model = default_values()["model"]
    assert (model["name"], model["version"], model["digest"]) == (bundle.name, bundle.version, bundle.digest)


def test_the_schema_describes_every_value() -> None:
    schema = properties(SCHEMA)
    values = paths(default_values())
    inside_empty = tuple(f"{name}." for name, value in values.items() if value == {})
    known = {name for name in schema if not name.startswith(inside_empty) and name not in ("enabled", "tags")}
    assert of_this_chart(known) == of_this_chart(values)
    for name, entry in schema.items():
        if entry.get("type") == "object" and not name.endswith(
            ("global", "tags", "annotations", "requests", "limits", "scaleUp", "scaleDown", "commonLabels")
        ):
            assert entry["additionalProperties"] is False, name
    settings = {name.removeprefix("settings.") for name in schema if name.startswith("settings.")}
    assert settings < set(Settings.__slots__)


def test_every_value_has_a_comment_which_the_schema_repeats() -> None:
    comments = value_comments()
    for name, entry in properties(SCHEMA).items():
        if name in of_this_chart({name}):
            assert entry.get("description"), name
            assert comments.get(name, entry["description"]) == entry["description"], name


def test_every_value_is_used() -> None:
    text = "".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    text = re.sub(r"\(\$?(\.Values[\w.]*)\)", r"\1", text.replace("$images", ".Values.images"))
    for name in of_this_chart(paths(default_values())):
        assert re.search(rf"\.Values\.{re.escape(name)}\b", text), name


def test_the_service_accepts_the_settings_that_are_rendered(values: list[object]) -> None:
    """Numbers come as JSON, as on an upgrade that reuses values, and Helm reads them as floats."""
    large = ("--set-json", "settings.retention=2592000", "--set-json", "settings.max_bytes=8388608")
    for name, spec in pod_specs(render(*values, *large)):
        for container in spec["containers"]:
            given = {entry["name"]: entry.get("value", "x") for entry in container.get("env", ())}
            ours = {name: value for name, value in given.items() if name.startswith("LOOKBOOK_")}
            if ours:
                assert Settings.from_environment(ours).retention == 2592000, name


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("autoscalling.enabled=true", "autoscalling"),
        ("cassandra.nodes=2", "cassandra/nodes"),
        ("cassandra.nodes=0", "cassandra/contactPoints"),
        ("cassandra.contactPoints=elsewhere", "cassandra/contactPoints"),
        ("model.digest=abc", "model/digest"),
        ("settings.no_such_setting=1", "no_such_setting"),
        ("service.port=80000", "service/port"),
        ("cassandra.replication=3", "which is 1: lower cassandra.replication, or raise cassandra.nodes"),
        ("autoscaling.minReplicas=11", "autoscaling.minReplicas is 11, more than autoscaling.maxReplicas"),
        ("autoscaling.targetCPU=null", "set autoscaling.targetCPU or autoscaling.metrics"),
        ("ingress.enabled=true", "ingress.host is empty: set it"),
        ("httpRoute.enabled=true", "httpRoute.gateway.name is empty: set it"),
    ],
)
def test_a_wrong_value_is_refused(setting: str, reason: str) -> None:
    result = helm_template("--set", setting)
    assert result.returncode != 0
    assert reason in result.stderr
