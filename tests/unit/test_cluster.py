import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import lookbook
from tests.support.places import MLP, ROOT

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me, namespace: shop}}]
clusters: [{name: here, cluster: {server: "http://127.0.0.1:%d"}}]
users: [{name: me, user: {token: none}}]
"""


def model(*arguments: object, **environment: Any) -> "subprocess.CompletedProcess[str]":
    return lookbook("model", *arguments, **environment)


@pytest.fixture
def unreachable(tmp_path: Path) -> Path:
    """The kubeconfig of a cluster that refuses connections."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        path = tmp_path / "kubeconfig"
        path.write_text(KUBECONFIG % sock.getsockname()[1])
    return path


def test_a_damaged_bundle_is_refused_before_the_cluster_is_asked(tmp_path: Path) -> None:
    shutil.copytree(MLP, tmp_path / "bundle")
    (tmp_path / "bundle/model.tflite").write_bytes(b"")
    refused = model("publish", tmp_path / "bundle", KUBECONFIG="/nowhere")
    assert refused.returncode == 1
    assert refused.stderr.endswith(
        f"model.tflite: 0 bytes, but the manifest says {(MLP / 'model.tflite').stat().st_size}; "
        "the file is damaged or was changed: copy the bundle again\n"
    )


@pytest.mark.parametrize("arguments", [["list"], ["publish", MLP]])
def test_an_unreachable_cluster_is_one_line(unreachable: Path, arguments: list[object]) -> None:
    refused = model(*arguments, KUBECONFIG=unreachable)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "cannot use the Kubernetes API: " in refused.stderr
    assert "Connection refused" in refused.stderr


@pytest.mark.parametrize("arguments", [["list"], ["publish", MLP]])
def test_a_missing_kubeconfig_is_one_line(tmp_path: Path, arguments: list[object]) -> None:
    refused = model(*arguments, KUBECONFIG=tmp_path / "none")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "Invalid kube-config file" in refused.stderr


def test_a_missing_client_is_one_line_that_says_how_to_install_it() -> None:
    # As if it were not installed: a module that is None in sys.modules cannot be imported.
    code = "import sys; sys.modules['kubernetes'] = None; from lookbook.cli.main import main; main()"
    refused = subprocess.run(
        [sys.executable, "-c", code, "model", "list"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 1
    advice = f'in a checkout of Lookbook, run {sys.executable} -m pip install ".[k8s]"'
    assert refused.stderr == f"lookbook: this command needs kubernetes: {advice}\n"
