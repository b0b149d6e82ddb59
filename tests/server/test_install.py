"""A wheel built from the repository, installed as `pip install` or `pipx install` installs it."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from lookbook import __version__

from tests.support.checkouts import copy_repository
from tests.support.places import CLOTHES, PHOTOS, ROOT
from tests.support.requirements import lacking
from tests.support.running import Service

# Without the variables of the Python that runs the tests; pip may need those for a proxy or a certificate.
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
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the whole repository."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = copy_repository(folder / "tree")
    pip = (sys.executable, "-m", "pip")
    try:
        run(*pip, "download", "--quiet", "--no-deps", "setuptools", cwd=folder, **OURS)
    except subprocess.CalledProcessError:
        lacking("pip finds no packages: it needs an index or a mirror")
    run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder / "built", tree, cwd=folder, **OURS)
    (built,) = (folder / "built").iterdir()
    return built


@pytest.fixture(scope="module")
def lookbook(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, in a fresh environment into which the wheel was installed."""
    folder = tmp_path_factory.mktemp("install")
    run(sys.executable, "-m", "venv", "venv", cwd=folder)
    run("venv/bin/pip", "install", "--quiet", "--no-compile", wheel, cwd=folder, **OURS)
    return folder / "venv/bin/lookbook"


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        license = opened.read(f"lookbook-{__version__}.dist-info/licenses/LICENSE")
    assert {name.partition("/")[0] for name in names} == {"lookbook", f"lookbook-{__version__}.dist-info"}
    sources = (path for path in (ROOT / "service/lookbook").rglob("*.*") if path.suffix != ".pyc")
    assert {str(path.relative_to(ROOT / "service")) for path in sources} <= names
    assert license == (ROOT / "LICENSE").read_bytes()


def test_installing_adds_one_package(lookbook: Path) -> None:
    (record,) = lookbook.parent.parent.glob(f"lib/*/site-packages/lookbook-{__version__}.dist-info/RECORD")
    folders = {line.partition("/")[0] for line in record.read_text().splitlines()}
    # `..` is the command's script in bin/.
    assert folders == {"..", "lookbook", record.parent.name}


def test_a_photograph_is_classified_from_any_folder(lookbook: Path, tmp_path: Path) -> None:
    prediction = json.loads(run(lookbook, "classify", "--json", PHOTOS / "hat.jpg", cwd=tmp_path))
    assert (prediction["label"], prediction["model"]["name"]) == ("Hat", CLOTHES.parent.name)


def test_the_package_runs_as_a_module(lookbook: Path, tmp_path: Path) -> None:
    python = lookbook.with_name("python")
    assert "Hat" in run(python, "-m", "lookbook", "classify", PHOTOS / "hat.jpg", cwd=tmp_path)


def test_it_serves(lookbook: Path, tmp_path: Path) -> None:
    service = Service({"workers": 1}, tmp_path / "log", command=(lookbook, "serve"), cwd=tmp_path)
    try:
        service.ready()
        prediction = json.loads(
            run(lookbook, "classify", "--json", PHOTOS / "hat.jpg", "--url", service.url, cwd=tmp_path)
        )
        listed = json.loads(run(lookbook, "history", "--json", "--url", service.url, cwd=tmp_path))
    finally:
        service.stop()
    assert (prediction["label"], prediction["id"]) == ("Hat", listed["id"])
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
