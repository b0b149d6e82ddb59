"""Releases on the cluster that kubectl points to, and a table of how long each test took."""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import OPTIONS, RELEASE, Cluster, run, served, values
from tests.support.pages import checkout, follow
from tests.support.places import CHART, ROOT

LOGS = ROOT / "e2e-logs"
RESULTS = Path(__file__).parent / "results"
GROUPS = ("smoke", "install", "faults", "operation", "docs", "spark")
_clusters: list[Cluster] = []
_took: dict[str, tuple[str, float]] = {}


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A namespace for the module, removed with everything in it afterward."""
    made = Cluster(f"e2e-{request.module.__name__.rpartition('_')[2]}")
    _clusters.append(made)
    made.create()
    yield made
    made.helm("uninstall", RELEASE, "--ignore-not-found", "--wait")
    made.remove()


@pytest.fixture(scope="module")
def upgrade(cluster: Cluster) -> Callable[..., str]:
    """Installs or upgrades the release with the tests' options and further ones."""

    def act(*arguments: object, wait: bool = True, chart: Path = CHART, **options: object) -> str:
        settings = values({**OPTIONS, **{name.replace("__", "."): value for name, value in options.items()}})
        waiting = ("--wait", "--timeout", "300s") if wait else ()
        return cluster.helm("upgrade", "--install", RELEASE, chart, *waiting, *settings, *arguments)

    return act


@pytest.fixture
def defaults(cluster: Cluster, upgrade: Callable[..., str]) -> None:
    """The release with the tests' options, complete and serving, no matter what an earlier test left behind."""
    if not cluster.is_whole(service=2, models=1, cassandra=1):
        upgrade("--force-conflicts")
        cluster.until_whole(service=2, models=1, cassandra=1)
    served()


@pytest.fixture(scope="module")
def walk(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs blocks of a page of docs/ in the module's namespace, in a folder with the given files."""
    folder = checkout(tmp_path_factory.mktemp("docs"))
    config = folder / "kubeconfig"
    config.write_text(run("kubectl", "config", "view", "--raw", "--flatten"))
    run("kubectl", "--kubeconfig", config, "config", "set-context", "--current", f"--namespace={cluster.namespace}")

    def act(page: str, *names: str, files: Mapping[str, str] | None = None) -> str:
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        return follow(ROOT / "docs" / page, *names, folder=folder, environment={"KUBECONFIG": str(config)}, seconds=900)

    return act


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    name = item.nodeid.rpartition("/")[2]
    outcome, seconds = _took.get(name, ("passed", 0.0))
    _took[name] = (outcome if report.passed else report.outcome, seconds + report.duration)
    if report.failed and _clusters:
        _leave_logs(_clusters[-1], LOGS / item.name)
    return report


def _leave_logs(cluster: Cluster, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nodes.txt").write_text(run("kubectl", "describe", "nodes", ok=False))
    for name, command in {
        "events.txt": ("get", "events", "--sort-by=.lastTimestamp"),
        "objects.txt": ("get", "all,pvc,networkpolicies", "--output=wide"),
        "describe.txt": ("describe", "pods,jobs,hpa"),
    }.items():
        (folder / name).write_text(cluster.kubectl(*command, ok=False))
    for pod in cluster.kubectl("get", "pods", "--output=name", ok=False).split():
        log = cluster.kubectl("logs", pod, "--all-containers", "--prefix", "--tail=2000", ok=False)
        (folder / f"{pod.rpartition('/')[2]}.log").write_text(log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = ["| test | outcome | seconds, including setup and teardown |", "| --- | --- | --: |"]
    lines += [f"| `{name}` | {outcome} | {seconds:.0f} |" for name, (outcome, seconds) in _took.items()]
    lines.append(f"| all | | {sum(seconds for _, seconds in _took.values()):.0f} |")
    terminalreporter.write_line("\n".join(lines))
    group = os.environ.get("E2E")
    if _took and group in GROUPS:
        (RESULTS / f"{group}.md").write_text(
            f"Results of the last `make e2e E2E={group}`, which wrote this file on {date.today()}.\n\n"
            + "\n".join(lines)
            + "\n"
        )
