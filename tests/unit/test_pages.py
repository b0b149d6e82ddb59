"""The pages of README and docs/: their links lead somewhere, their commands are tested, their tables are complete."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import prometheus_client
import pytest
import yaml
from lookbook.errors import RequestError
from lookbook.http.openapi.document import document
from lookbook.model.bundle import read_bundle
from lookbook.telemetry import metrics

from tests.support.pages import DOCS, blocks
from tests.support.places import CHART, MLP, ROOT

README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
GUIDES = [README, *sorted(DOCS.glob("tutorials/*.md")), *sorted(DOCS.glob("how-to/*.md"))]
# Blocks of commands that no test of ours runs, and why.
NOT_RUN = {
    ("README.md", "docker"): "tests/server/test_image.py does the same",
    ("README.md", "kubernetes"): "tests/e2e/test_smoke.py does the same",
    ("tutorials/kind.md", "cluster"): ".github/workflows/e2e.yaml does the same",
    ("tutorials/kind.md", "images"): ".github/workflows/e2e.yaml does the same",
    ("tutorials/kind.md", "clean"): "tests/e2e/conftest.py does the same",
    ("tutorials/own-model.md", "install"): "it would install into the home folder",
    ("how-to/cluster.md", "images"): "it needs a registry",
    ("how-to/cluster.md", "run"): "it needs a host name; tests/e2e/test_external.py installs with these values",
    ("how-to/batch.md", "install"): "the tests' environment has these packages",
    ("how-to/batch.md", "cluster"): "it needs a cluster; tests/chart/test_batch_jobs.py renders it",
    ("how-to/batch.md", "cluster-job"): "it needs a cluster; tests/chart/test_cluster_jobs.py runs such commands",
    ("how-to/batch.md", "cluster-jobs"): "it needs a cluster; tests/chart/test_cluster_jobs.py runs such commands",
    ("how-to/batch.md", "cluster-parquet"): "it needs a cluster; tests/chart/test_cluster_jobs.py runs such commands",
    ("how-to/export.md", "install"): "the tests' environment has pyarrow",
    ("how-to/monitoring.md", "install"): "it needs a Prometheus operator; tests/chart render it",
    ("how-to/traces.md", "install"): "the tests' environment has these packages",
}


def name(page: Path) -> str:
    return str(page.relative_to(DOCS if page.is_relative_to(DOCS) else ROOT))


def strings(tree: ast.AST) -> set[str]:
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return found | {text.removeprefix("sh ") for text in found}


def functions(path: Path) -> Iterator[set[str]]:
    """The strings of each function in a Python file, with those that the whole file knows."""
    body = ast.parse(path.read_text()).body
    shared = set().union(*(strings(node) for node in body if isinstance(node, ast.Assign)))
    yield from (strings(node) | shared for node in body if isinstance(node, ast.FunctionDef))


FILES = set((ROOT / "tests").rglob("test_*.py")) - {Path(__file__)}
TESTS = [found for path in sorted(FILES) for found in functions(path)]


def commands(page: Path) -> set[tuple[str, str]]:
    """The page's name with that of each of its blocks of commands; empty for those that always run."""
    return {(name(page), info.removeprefix("sh").strip()) for info, _ in blocks(page) if info.split()[:1] == ["sh"]}


@pytest.mark.parametrize("page", GUIDES, ids=name)
def test_every_command_of_a_guide_is_run(page: Path) -> None:
    """A test names the page and the block."""
    run = {(page, block) for page, block in commands(page) if any({page, block} <= found | {""} for found in TESTS)}
    assert commands(page) - run == {entry for entry in NOT_RUN if entry[0] == name(page)}
    assert "" not in [info for info, _ in blocks(page)] or page == README, "say what kind of block it is"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes from headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def first_column(page: str, heading: str) -> list[str]:
    """The first column of the table under a heading: what is in backquotes."""
    section = (DOCS / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)


def test_every_metric_is_explained() -> None:
    kinds = (prometheus_client.Counter, prometheus_client.Gauge, prometheus_client.Histogram)
    ours = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for value in vars(metrics).values()
        if isinstance(value, kinds)
        for metric in value.describe()
    }
    assert sorted(first_column("how-to/monitoring.md", "Metrics")) == sorted(ours)


def test_every_alert_is_explained() -> None:
    alerts = yaml.safe_load((CHART / "files/alerts.yaml").read_text())
    assert first_column("how-to/monitoring.md", "Alerts") == [alert["alert"] for alert in alerts]


def test_the_sections_that_messages_name_exist() -> None:
    code = "".join(path.read_text() for path in (ROOT / "service").rglob("*.py"))
    named = re.findall(r"'([A-Z][\w ]+)' in\W+charts/lookbook/README\.md", code)
    assert len(named) > 1
    readme = (CHART / "README.md").read_text()
    assert [section for section in named if f"\n## {section}\n" not in readme] == []


def test_every_endpoint_is_listed() -> None:
    described = {
        f"{method.upper()} {path}"
        for path, calls in document()["paths"].items()
        for method in calls.keys() - {"parameters"}
    }
    assert set(first_column("reference/http.md", "Endpoints")) == described


def test_every_error_is_listed() -> None:
    listed = re.findall(r"^\| (\d+) \| `(\w+)` \|", (DOCS / "reference/http.md").read_text(), re.MULTILINE)
    assert {
        (str(error.status), error.code) for error in RequestError.__subclasses__() if hasattr(error, "status")
    } <= set(listed)


def test_the_digest_of_a_published_model_is_the_bundles() -> None:
    assert f"--set model.digest={read_bundle(MLP).digest} " in (DOCS / "how-to/models.md").read_text()
