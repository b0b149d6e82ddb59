"""The workflows on GitHub; `make actionlint` checks their syntax."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.places import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yaml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def test_actions_are_pinned_to_a_commit_with_its_tag(workflow: Path) -> None:
    used = re.findall(r"\buses: (.*)", workflow.read_text())
    assert used
    for action in used:
        assert action.startswith("./") or re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_one_commit_is_pinned_of_each_action() -> None:
    pins = {pin for path in WORKFLOWS for pin in re.findall(r"\buses: ([\w-]+/.*)", path.read_text())}
    assert len(pins) == len({pin.partition("@")[0] for pin in pins})


def test_jobs_may_only_read(workflow: Path) -> None:
    content = read(workflow)
    assert content["permissions"] == {"contents": "read"}
    assert not [name for name, job in content["jobs"].items() if "permissions" in job]


def test_jobs_end(workflow: Path) -> None:
    for name, job in read(workflow)["jobs"].items():
        assert "uses" in job or job["timeout-minutes"] <= 60, name


def test_every_group_of_cluster_tests_runs() -> None:
    groups = set(re.findall(r"^E2E_(\w+) =", (ROOT / "Makefile").read_text(), re.MULTILINE)) - {"all"}
    assert groups == set(read(ROOT / ".github/workflows/e2e.yaml")["jobs"]["e2e"]["strategy"]["matrix"]["group"])


def test_the_tutorial_installs_the_same_metrics_server() -> None:
    (line,) = re.findall(r"kubectl apply -f https://\S+", (ROOT / ".github/workflows/e2e.yaml").read_text())
    assert line in (ROOT / "docs/tutorials/kind.md").read_text()
