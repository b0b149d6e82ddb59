"""The version and the placeholders are written once, and `make release` renews every literal of the version."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import lookbook
import pytest
import yaml

from tests.support.chart import default_values, helm_template, tool
from tests.support.checkouts import copy_repository, tracked
from tests.support.places import ROOT
from tools import release


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_repository(tmp_path)


def make(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", f"PYTHON={sys.executable}", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def test_every_literal_is_the_version() -> None:
    found = {str(path.relative_to(ROOT)): set(versions) for path, _, versions in release.literals()}
    assert found.keys() >= release.BEFORE.keys() | {"k8s/rendered.yaml"}
    assert {name: versions for name, versions in found.items() if versions != {lookbook.__version__}} == {}


def test_the_changelog_describes_the_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", lookbook.__version__]


def test_a_release_leaves_no_older_version_behind(checkout: Path) -> None:
    tool("helm")
    result = make("release", "VERSION=9.8.7", cwd=checkout)
    assert result.returncode == 0, result.stderr
    # Without k8s/rendered.yaml, in which a name follows from the version.
    command = ["git", "diff", "--unified=0", ":!k8s"]
    diff = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout
    removed = re.findall(r"^-([^-].*)", diff, re.MULTILINE)
    added = [line for line in re.findall(r"^\+([^+\n].*)", diff, re.MULTILINE) if not line.startswith("## [")]
    assert [line.replace(lookbook.__version__, "9.8.7") for line in removed] == added
    rendered = (checkout / "k8s/rendered.yaml").read_text()
    assert rendered == helm_template(chart=checkout / "charts/lookbook").stdout
    assert "lookbook-9.8.7" in rendered
    assert "## [Unreleased]\n\n## [9.8.7] - " in (checkout / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("version", ["", "1.2", "v1.2.3", "1.2.3-rc1"])
def test_other_versions_are_refused(checkout: Path, version: str) -> None:
    result = make("release", f"VERSION={version}", cwd=checkout)
    assert result.returncode != 0
    assert "release: give the new version" in result.stderr


def test_the_packaged_chart_pulls_from_the_registry(checkout: Path) -> None:
    tool("helm")
    result = make("package", "REGISTRY=registry.example", cwd=checkout)
    assert result.returncode == 0, result.stderr
    (package,) = (checkout / "build").glob("*.tgz")
    assert package.name == f"lookbook-{lookbook.__version__}.tgz"
    values = subprocess.run(["helm", "show", "values", package], capture_output=True, text=True, check=True).stdout
    plain = default_values()["images"]
    ours = {name: {**plain[name], "registry": "registry.example"} for name in ("service", "modelInit", "spark")}
    assert yaml.safe_load(values)["images"] == {**plain, **ours}


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("pyproject.toml", "https://lookbook-project.example"),
        ("Makefile", "registry.lookbook-project.example"),
    ],
)
def test_each_placeholder_is_written_once(name: str, pattern: str) -> None:
    places = [path for path in tracked() if path != Path(__file__) and pattern.encode() in path.read_bytes()]
    assert places == [ROOT / name]
    assert (ROOT / name).read_text().count(pattern) == 1


def test_the_license_is_complete_and_declared() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert len(text.splitlines()) == 202
    for part in ("Version 2.0, January 2004", "END OF TERMS AND CONDITIONS", "limitations under the License."):
        assert part in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
