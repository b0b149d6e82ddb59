import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import MLP, ROOT

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me, namespace: shop}}]
clusters: [{name: here, cluster: {server: "http://127.0.0.1:%d"}}]
users: [{name: me, user: {token: none}}]
"""


def model(*arguments: object, **environment: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "lookbook", "model", *map(str, arguments)],
        env={name: str(value) for name, value in environment.items()},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def nobody(tmp_path: Path) -> Path:
    """The kubeconfig of a cluster that refuses connections."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        path = tmp_path / "kubeconfig"
        path.write_text(KUBECONFIG % sock.getsockname()[1])
    return path


def test_a_bad_bundle_is_refused_before_the_cluster_is_asked(tmp_path: Path) -> None:
    shutil.copytree(MLP, tmp_path / "bundle")
    (tmp_path / "bundle/model.tflite").write_bytes(b"")
    refused = model("publish", tmp_path / "bundle", KUBECONFIG="/nowhere")
    assert refused.returncode == 1
    assert refused.stderr.endswith(
        f"model.tflite: 0 bytes where the manifest says {(MLP / 'model.tflite').stat().st_size}\n"
    )


@pytest.mark.parametrize("arguments", [["list"], ["publish", MLP]])
def test_an_unreachable_cluster_is_one_line(nobody: Path, arguments: list[object]) -> None:
    refused = model(*arguments, KUBECONFIG=nobody)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "the Kubernetes API can't be used: " in refused.stderr
    assert "Connection refused" in refused.stderr


@pytest.mark.parametrize("arguments", [["list"], ["publish", MLP]])
def test_no_cluster_is_one_line(tmp_path: Path, arguments: list[object]) -> None:
    refused = model(*arguments, KUBECONFIG=tmp_path / "none")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "Invalid kube-config file" in refused.stderr


def test_without_the_client_one_line_says_how_to_get_it() -> None:
    # As where it isn't installed: a module that is None in sys.modules can't be imported.
    code = "import sys; sys.modules['kubernetes'] = None; from lookbook.cli.main import main; main()"
    refused = subprocess.run(
        [sys.executable, "-c", code, "model", "list"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 1
    assert refused.stderr == 'lookbook: this command talks to Kubernetes: pip install "lookbook[k8s]"\n'
