"""The import rules: who may import whom, and which library has which home."""

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.places import ROOT

SOURCE = ROOT / "service"
MODEL_INIT = sorted((ROOT / "model-init/model_init").glob("*.py"))

# Each part of the package, and the parts whose modules it may import; a module at the top level is a part of its own.
MAY_IMPORT = {
    "errors": set(),
    "prediction": set(),
    "judgment": {"prediction"},
    "job": {"prediction"},
    "settings": {"errors"},
    "addresses": set(),
    "images": set(),
    "telemetry": {"lookbook"},
    "model": {"errors"},
    "store": {"errors", "prediction", "job", "judgment", "settings"},
    "truth": {"judgment", "prediction"},
    "replay": {"errors", "judgment", "prediction", "model", "store", "truth"},
    "keeping": {"settings", "model", "store"},
    "pipeline": {"errors", "prediction", "settings", "telemetry", "keeping", "model", "store", "truth"},
    "quality": {"judgment", "prediction", "store", "truth"},
    "http": {
        *("lookbook", "errors", "prediction", "job", "judgment", "settings", "telemetry", "model", "store", "truth"),
        *("pipeline", "quality"),
    },
    "export": {"errors", "judgment", "prediction", "store"},
    "server": {"addresses", "errors", "settings", "telemetry", "model", "store", "quality", "http"},
    "build": {"errors", "images", "model"},
    "cli": {
        "lookbook",
        "errors",
        "judgment",
        "prediction",
        "settings",
        "images",
        "model",
        "store",
        "truth",
        "replay",
        "export",
        "job",
        "server",
        "spark",
        "build",
        "backup",
    },
    "spark": {
        *("errors", "export", "images", "job", "judgment", "keeping", "model", "prediction", "quality", "replay"),
        *("settings", "store", "truth"),
    },
    "backup": {"errors", "store"},
    "__main__": {"cli"},
    "lookbook": set(),
}

KERAS = ("comparison", "conversion", "loading", "measuring", "pixels", "scores", "tracing", "writer")


def name_of(path: Path) -> str:
    """The dotted name of a module or package."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted((SOURCE / "lookbook").rglob("*.py"))}


def imported(path: Path) -> set[str]:
    """Every name that a module imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {str(node.module)} | {f"{node.module}.{name.name}" for name in node.names}
    return found


def modules_imported(path: Path) -> set[str]:
    """Modules of the package that a module imports."""
    names = imported(path)
    # `from package import module` names the package, too, but uses nothing of it.
    return {
        name
        for name in names & MODULES.keys()
        if not any(other.startswith(f"{name}.") for other in names & MODULES.keys())
        or any(other.rpartition(".")[0] == name and other not in MODULES for other in names)
    }


def part(module: str) -> str:
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] or first


def libraries(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("module", MODULES)
def test_each_part_imports_only_what_it_may(module: str) -> None:
    own = part(module)
    assert {part(other) for other in modules_imported(MODULES[module])} - {own} <= MAY_IMPORT[own]


def test_no_module_imports_itself_through_others() -> None:
    try:
        TopologicalSorter({name: modules_imported(path) for name, path in MODULES.items()}).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("library", "importers"),
    [
        ("ai_edge_litert", {"model.inference", "build.writer"}),
        (
            "cassandra",
            {
                f"store.cassandra.{name}"
                for name in ("call", "cluster", "connection", "hedging", "roles", "schema", "tables")
            },
        ),
        ("opentelemetry", {"telemetry.otlp"}),
        ("kubernetes", {"cli.cluster", "cli.cluster_jobs", "cli.pod_log"}),
        ("yaml", {"cli.cluster_jobs"}),
        ("requests", {"cli.client"}),
        ("rich", {"cli.output", "cli.progress"}),
        (
            "sqlite3",
            {
                f"store.sqlite.{name}"
                for name in (
                    "comparisons",
                    "database",
                    "jobs",
                    "judgments",
                    "samples",
                    "store",
                    "sweeper",
                    "tables",
                    "writer",
                )
            },
        ),
        ("pyarrow", {"export.parquet", *(f"spark.{name}" for name in ("arrow", "history", "source", "worker"))}),
        ("pyspark", {f"spark.{name}" for name in ("batch", "executor", "history", "replay", "session", "source")}),
        ("keras", {f"build.{name}" for name in KERAS}),
        ("tensorflow", {"build.conversion", "build.writer"}),
        ("training", set()),
    ],
)
def test_each_library_has_one_home(library: str, importers: set[str]) -> None:
    found = {name.removeprefix("lookbook.") for name, path in MODULES.items() if library in libraries(path)}
    assert found == importers


@pytest.mark.parametrize("library", ["flask", "werkzeug", "jinja2", "gunicorn"])
def test_only_http_and_server_know_http_libraries(library: str) -> None:
    found = {part(name) for name, path in MODULES.items() if library in libraries(path)}
    assert found <= {"http", "server"}


def test_the_bundle_is_read_with_the_standard_library_alone() -> None:
    for name in ("lookbook", "lookbook.errors", "lookbook.model", "lookbook.model.bundle"):
        assert libraries(MODULES[name]) <= sys.stdlib_module_names | {"lookbook"}


def test_model_init_imports_only_addresses_bundle_and_errors() -> None:
    found = {name for path in MODEL_INIT for name in imported(path) if name.partition(".")[0] == "lookbook"}
    allowed = ("lookbook.addresses", "lookbook.errors", "lookbook.model.bundle")
    assert {name for name in found if not name.startswith(allowed)} == set()


def test_a_pull_starts_with_the_standard_library_alone() -> None:
    ours = sys.stdlib_module_names | {"model_init", "lookbook"}
    for path in MODEL_INIT:
        assert path.stem in ("secrets", "serve") or libraries(path) <= ours, path


def test_only_commands_and_the_server_process_read_the_environment() -> None:
    readers = {name for name, path in MODULES.items() if "os.environ" in path.read_text()}
    assert {name for name in readers if not name.startswith("lookbook.cli.")} <= {
        "lookbook.server.metrics_folder",
        "lookbook.build.builder",
        # Spark's own code calls it, without a command.
        "lookbook.spark.executor",
        "lookbook.spark.history",
        "lookbook.spark.session",
    }


TESTS = sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_imports_from_another(path: Path) -> None:
    ours = {name for name in imported(path) if name.startswith("tests.")}
    assert {name for name in ours if not name.startswith("tests.support")} == set()


PRODUCT = [path for path in (*MODULES.values(), *MODEL_INIT) if path.name != "__init__.py"]


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_module_has_a_test(path: Path) -> None:
    """One of its name, or one that its docstring names as `tests/...`."""
    namesakes = [test for test in TESTS if test.name == f"test_{path.stem}.py"]
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    named = [test for test in TESTS if str(test.relative_to(ROOT)) in docstring]
    assert namesakes or named, f"no tests/**/test_{path.stem}.py, and its docstring names no test"
