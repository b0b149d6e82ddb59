"""Lookbook as `pip install .` or `pipx install .` puts it onto a machine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import CLOTHES, PHOTOS, ROOT
from tests.support.requirements import lacking
from tests.support.running import Service

# All but what belongs to the Python that runs the tests: pip may need a proxy or a certificate.
OURS = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LOOKBOOK_"))}


def run(*command: object, cwd: Path, **environment: str) -> str:
    """Standard output; raises CalledProcessError."""
    return subprocess.run(
        [str(part) for part in command],
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **environment},
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    ).stdout


@pytest.fixture(scope="module")
def lookbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed command, in a venv of its own."""
    folder = tmp_path_factory.mktemp("install")
    tree = folder / "tree"
    for name in ("service", "models"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, tree / name)
    run(sys.executable, "-m", "venv", "venv", cwd=folder)
    try:
        run("venv/bin/pip", "download", "--quiet", "--no-deps", "setuptools", cwd=folder, **OURS)
    except subprocess.CalledProcessError:
        lacking("pip finds no packages: it needs an index or a mirror")
    run("venv/bin/pip", "install", "--quiet", "--no-compile", tree, cwd=folder, **OURS)
    shutil.rmtree(tree)
    return folder / "venv/bin/lookbook"


def test_a_photograph_is_classified_from_anywhere(lookbook: Path, tmp_path: Path) -> None:
    record = json.loads(run(lookbook, "classify", "--json", PHOTOS / "hat.jpg", cwd=tmp_path))
    assert (record["label"], record["model"]["name"]) == ("Hat", CLOTHES.parent.name)


def test_the_package_is_installed_whole_and_alone(lookbook: Path) -> None:
    (installed,) = lookbook.parent.parent.glob("lib/*/site-packages")
    sources = ROOT / "service"
    files = {path.relative_to(sources) for path in (sources / "lookbook").rglob("*.*")}
    expected = sorted(path for path in files if path.suffix != ".pyc")
    assert [path for path in expected if not (installed / path).exists()] == []
    (record,) = installed.glob("lookbook-*.dist-info/RECORD")
    folders = {line.partition("/")[0] for line in record.read_text().splitlines() if not line.startswith("..")}
    assert folders == {"lookbook", record.parent.name}
    assert (record.parent / "licenses/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_it_serves(lookbook: Path, tmp_path: Path) -> None:
    service = Service({"workers": 1}, tmp_path / "log", command=(lookbook, "serve"), cwd=tmp_path)
    try:
        service.ready()
        record = json.loads(run(lookbook, "classify", "--json", PHOTOS / "hat.jpg", "--url", service.url, cwd=tmp_path))
        listed = json.loads(run(lookbook, "history", "--json", "--url", service.url, cwd=tmp_path))
    finally:
        service.stop()
    assert (record["label"], record["id"]) == ("Hat", listed["id"])
    assert (tmp_path / "lookbook.sqlite").exists()


@pytest.mark.parametrize(
    ("words", "expected"), [("lookbook cla", "classify"), ("lookbook model ", "build list publish")]
)
def test_bash_completes_its_words(lookbook: Path, tmp_path: Path, words: str, expected: str) -> None:
    script = (
        'eval "$(lookbook completion bash)"; COMP_WORDS=($WORDS); COMP_CWORD=${CWORD}; _lookbook_completion lookbook; '
        'echo "${COMPREPLY[@]}"'
    )
    path = f"{lookbook.parent}:{os.environ['PATH']}"
    said = run("bash", "-c", script, cwd=tmp_path, PATH=path, WORDS=words, CWORD=str(words.count(" ")))
    assert said.split() == expected.split()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_of_their_own(lookbook: Path, tmp_path: Path, shell: str) -> None:
    assert f"_LOOKBOOK_COMPLETE={shell}_complete" in run(lookbook, "completion", shell, cwd=tmp_path)
