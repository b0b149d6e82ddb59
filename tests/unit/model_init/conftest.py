"""The commands of model-init as processes, on real folders."""

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.model_init import run, start
from tests.support.places import MLP
from tests.support.running import free_port, until


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Copies the smallest bundle, with changes to its manifest."""

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
    """The folder of the smallest bundle in the volume."""
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
def serve(volume: Path) -> Iterator[Callable[..., str]]:
    """Starts `serve` on the volume; returns its URL."""
    processes: list[subprocess.Popen[bytes]] = []

    def begin(port: int | None = None) -> str:
        port = port or free_port()
        processes.append(start("serve", "--volume", volume, "--bind", f"127.0.0.1:{port}", stderr=subprocess.DEVNULL))
        until(lambda: processes[-1].poll() is not None or _accepts(port))
        assert processes[-1].poll() is None
        return f"http://127.0.0.1:{port}"

    yield begin
    for process in processes:
        process.terminate()
        assert process.wait(30) == 0


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
