"""The commands of model-init as processes, on real folders."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import MLP, ROOT
from tests.running import free_port, until

ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'model-init'}:{ROOT}", "PYTHONWARNINGS": "error"}
COMMAND = [sys.executable, "-m", "model_init"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def run(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, **options)


def start(*arguments: object, **options: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([*COMMAND, *map(str, arguments)], env=ENVIRONMENT, **options)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Copies the smallest bundle with entries of its manifest changed."""

    def make(**changes: object) -> Path:
        folder = tmp_path / f"made-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(MLP, folder)
        manifest = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps({**manifest, **changes}))
        return folder

    return make


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


@pytest.fixture
def published(volume: Path) -> Path:
    """The smallest bundle where it stands in the volume."""
    assert run("publish", MLP, "--volume", volume).returncode == 0
    return volume / "fashion-mnist-mlp/2.2.0"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB, too small for any bundle."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k,mode=0777", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def serve(volume: Path) -> Iterator[Callable[[], str]]:
    """Starts `serve` on the volume; its URL."""
    processes = []

    def begin(port: int | None = None) -> str:
        port = port or free_port()
        processes.append(start("serve", "--volume", volume, "--bind", f"127.0.0.1:{port}", stderr=subprocess.DEVNULL))
        until(lambda: processes[-1].poll() is not None or _listens(port))
        assert processes[-1].poll() is None
        return f"http://127.0.0.1:{port}"

    yield begin
    for process in processes:
        process.terminate()
        assert process.wait(30) == 0


def _listens(port: int) -> bool:
    import socket

    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
