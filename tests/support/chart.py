"""The chart as Helm renders it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.places import CHART
from tests.support.requirements import lacking

Object = dict[str, Any]
BATCH_TEMPLATES = ("job.yaml", "executor.yaml")


def tool(name: str) -> str:
    """The path of helm; skips the test without it."""
    found = shutil.which(name)
    if not found:
        lacking(f"no {name}: the chart's tests need helm on the PATH", "HELM")
    return found


def helm_template(
    *arguments: object, chart: Path = CHART, release: str = "lookbook"
) -> "subprocess.CompletedProcess[str]":
    command = [tool("helm"), "template", release, *map(str, (chart, *arguments))]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def render(*arguments: object, chart: Path = CHART, release: str = "lookbook") -> list[Object]:
    """The objects that the chart renders, and those that `lookbook batch` and Spark make of its templates."""
    result = helm_template(*arguments, chart=chart, release=release)
    assert result.returncode == 0, result.stderr
    items = [item for item in yaml.safe_load_all(result.stdout) if item]
    maps = [item["data"] for item in items if item["kind"] == "ConfigMap"]
    return items + [yaml.safe_load(data[name]) for data in maps for name in BATCH_TEMPLATES if name in data]


def pod_templates(items: list[Object]) -> Iterator[tuple[str, Object]]:
    """Kind and name of each object with pods, and the pod's metadata and spec."""
    for item in items:
        name = f"{item['kind']} {item['metadata']['name']}"
        if item["kind"] == "Pod":
            yield name, item
        elif item["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield name, item["spec"]["template"]
        elif item["kind"] == "CronJob":
            yield name, item["spec"]["jobTemplate"]["spec"]["template"]


def pod_specs(items: list[Object]) -> Iterator[tuple[str, Object]]:
    for name, template in pod_templates(items):
        yield name, template["spec"]


def containers(items: list[Object]) -> Iterator[tuple[str, Object]]:
    for name, spec in pod_specs(items):
        for container in spec.get("initContainers", []) + spec["containers"]:
            yield f"{name}, {container['name']}", container


def named(items: list[Object], kind: str, name: str) -> Object:
    (found,) = [item for item in items if item["kind"] == kind and item["metadata"]["name"] == name]
    return found


def cassandra_settings(nodes: int = 1) -> tuple[str, dict[str, str | None]]:
    """What a Cassandra node of the chart is given: a script that fills /conf, and its environment, None for its IP."""
    spec = named(render("--set", f"cassandra.nodes={nodes}"), "StatefulSet", "lookbook-cassandra")["spec"]
    (settings,), (node,) = (spec["template"]["spec"][key] for key in ("initContainers", "containers"))
    return settings["args"][0], {entry["name"]: entry.get("value") for entry in node["env"]}


def schema_job(items: list[Object]) -> Object:
    (found,) = [item for item in items if item["kind"] == "Job"]
    return found


def immutable(items: list[Object]) -> dict[str, Any]:
    """What Kubernetes does not allow you to change, by kind and name; None where everything may change."""
    found: dict[str, Any] = {}
    for item in items:
        spec, kind, name = item.get("spec", {}), item["kind"], item["metadata"]["name"]
        value = None
        if kind in ("Deployment", "StatefulSet"):
            value = {key: spec[key] for key in ("selector", "serviceName", "volumeClaimTemplates") if key in spec}
        elif kind == "PersistentVolumeClaim":
            value = spec
        elif kind == "RoleBinding":
            value = item["roleRef"]
        elif kind == "Service":
            value = {key: spec[key] for key in ("selector", "clusterIP") if key in spec}
        elif kind == "Job":
            name = name.rpartition("-")[0]
        found[f"{kind} {name}"] = value
    return found


def default_values() -> Object:
    values: Object = yaml.safe_load((CHART / "values.yaml").read_text())
    return values


def default_image(name: str) -> str:
    """The reference of a container image."""
    image = default_values()["images"][name]
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    return f"{image['repository']}:{image['tag'] or version}"


def value_comments() -> dict[str, str]:
    """The comment above each key of values.yaml, by the path of the key."""
    found: dict[str, str] = {}
    path: list[str] = []
    comment: list[str] = []
    for line in (CHART / "values.yaml").read_text().splitlines():
        key = re.match(r"( *)(\w+):", line)
        if key:
            path[len(key[1]) // 2 :] = [key[2]]
            found[".".join(path)] = " ".join(comment)
        comment = [*comment, line.strip("# ")] if line.lstrip().startswith("#") else []
    return found
