"""The import rules of the house."""

import ast
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

MODULES = sorted((ROOT / "service").rglob("*.py"))
MODEL_INIT = sorted((ROOT / "model-init/model_init").glob("*.py"))
LEAVES = ("prediction", "errors", "settings", "bundle")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {str(node.module)} | {f"{node.module}.{name.name}" for name in node.names}
    return found


@pytest.mark.parametrize("name", LEAVES)
def test_leaves_import_nothing_of_ours(name: str) -> None:
    assert not [found for found in imports(ROOT / f"service/{name}.py") if found.startswith("service")]


def test_the_bundle_is_read_with_the_standard_library_alone() -> None:
    assert {found.split(".")[0] for found in imports(ROOT / "service/bundle.py")} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("package", "importers"),
    [
        ("ai_edge_litert", {"service/inference.py"}),
        ("cassandra", {f"service/store/{name}.py" for name in ("cassandra", "connection", "roles", "schema")}),
        ("opentelemetry", {"service/spans.py"}),
        ("kubernetes", {"service/cluster.py"}),
        ("requests", {"service/client.py"}),
        ("rich", {"service/output.py", "service/progress.py"}),
        ("sqlite3", {"service/store/sqlite.py"}),
        ("keras", set()),
        ("tensorflow", set()),
        ("training", {"service/build.py"}),
    ],
)
def test_each_engine_has_its_importers(package: str, importers: set[str]) -> None:
    found = {
        str(path.relative_to(ROOT)) for path in MODULES if any(name.split(".")[0] == package for name in imports(path))
    }
    assert found == importers


def test_model_init_takes_only_the_bundle_from_the_service() -> None:
    found = {name for path in MODEL_INIT for name in imports(path) if name.split(".")[0] == "service"}
    assert {name for name in found if not name.startswith("service.bundle")} == set()


def test_a_pull_starts_with_the_standard_library_alone() -> None:
    ours = sys.stdlib_module_names | {"model_init", "service"}
    for name in ("__main__", "pull", "source", "disk", "errors", "publish", "receive", "volume"):
        assert {found.split(".")[0] for found in imports(ROOT / f"model-init/model_init/{name}.py")} <= ours


def test_only_the_commands_read_the_environment() -> None:
    readers = {str(path.relative_to(ROOT)) for path in MODULES if "os.environ" in path.read_text()}
    assert readers == {"service/cli.py", "service/server.py", "service/store/schema.py"}
