"""The container images can be built for arm64."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

LOCKS = ["requirements.txt", "model-init/requirements.txt"]
DOCKERFILES = ["Dockerfile", "model-init/Dockerfile", "spark/Dockerfile"]


@pytest.mark.parametrize("lock", LOCKS)
def test_each_locked_package_has_a_wheel(lock: str, tmp_path: Path) -> None:
    """Installs the wheels into a folder; each must have a hash of the lock."""
    uv = [Path(sys.executable).parent / "uv", "pip", "install", "--no-cache", "--no-deps", "--target", tmp_path / "all"]
    only = ["--require-hashes", "--only-binary", ":all:"]
    platform = ["--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.13"]
    result = subprocess.run(
        [*map(str, uv), *only, *platform, "--requirement", str(ROOT / lock)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "error sending request" in result.stderr:
        pytest.skip("the package index cannot be reached")
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.rglob("*aarch64*.so"))


@pytest.mark.parametrize("path", DOCKERFILES)
def test_no_dockerfile_names_an_architecture(path: str) -> None:
    assert not re.search(r"amd64|arm64|x86_64|aarch64|--platform", (ROOT / path).read_text())


def test_a_release_is_built_for_both() -> None:
    assert "--platform linux/amd64,linux/arm64 --push" in (ROOT / "Makefile").read_text()
