"""The import rules of the house."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

MODULES = sorted((ROOT / "service").rglob("*.py"))
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
    import sys

    assert {found.split(".")[0] for found in imports(ROOT / "service/bundle.py")} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("package", "importers"),
    [
        ("ai_edge_litert", {"service/inference.py"}),
        ("cassandra", {f"service/store/{name}.py" for name in ("cassandra", "connection", "roles", "schema")}),
        ("sqlite3", {"service/store/sqlite.py"}),
        ("tensorflow", set()),
        ("training", set()),
    ],
)
def test_each_engine_has_its_importers(package: str, importers: set[str]) -> None:
    found = {
        str(path.relative_to(ROOT)) for path in MODULES if any(name.split(".")[0] == package for name in imports(path))
    }
    assert found == importers


def test_only_the_commands_read_the_environment() -> None:
    readers = {str(path.relative_to(ROOT)) for path in MODULES if "os.environ" in path.read_text()}
    assert readers == {"service/cli.py", "service/server.py", "service/store/schema.py"}
