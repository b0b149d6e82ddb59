"""The chart as Helm renders it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.places import CHART
from tests.support.requirements import lacking


def tool(name: str) -> str:
    found = shutil.which(name)
    if not found:
        lacking(f"no {name}: the chart's tests need helm and kubeconform on the PATH", "HELM")
    return found


def helm_template(*arguments: object, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    command = [tool("helm"), "template", "lookbook", chart, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def render(*arguments: object, chart: Path = CHART) -> list[dict[str, Any]]:
    result = helm_template(*arguments, chart=chart)
    assert result.returncode == 0, result.stderr
    return [item for item in yaml.safe_load_all(result.stdout) if item]


def pod_specs(items: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in items:
        name = f"{item['kind']} {item['metadata']['name']}"
        if item["kind"] == "Pod":
            yield name, item["spec"]
        elif item["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield name, item["spec"]["template"]["spec"]


def containers(items: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, spec in pod_specs(items):
        for container in spec.get("initContainers", []) + spec["containers"]:
            yield f"{name}, {container['name']}", container


def named(items: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [item for item in items if item["kind"] == kind and item["metadata"]["name"] == name]
    return found
