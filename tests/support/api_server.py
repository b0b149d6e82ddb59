"""A Kubernetes API server without nodes or controllers: it checks, merges, and stores objects as any cluster does."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.requirements import lacking
from tests.support.running import free_port, until

TOKEN = "tests"


class ApiServer:
    """A running server, as helm and kubectl use it."""

    def __init__(self, kubeconfig: Path) -> None:
        self.environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}

    def run(self, *command: object, ok: bool = True) -> str:
        """The output of helm or kubectl; fails if the command fails."""
        arguments = [str(part) for part in command]
        result = subprocess.run(arguments, env=self.environment, capture_output=True, text=True, timeout=120)
        assert not ok or result.returncode == 0, f"{arguments}:\n{result.stdout}{result.stderr}"
        return result.stdout + result.stderr

    def answers(self) -> bool:
        return "default" in self.run("kubectl", "get", "namespaces", ok=False)

    def objects(self, namespace: str, kinds: str) -> list[dict[str, Any]]:
        found = self.run("kubectl", "--namespace", namespace, "get", kinds, "--output=json")
        items: list[dict[str, Any]] = json.loads(found)["items"]
        return items


@contextmanager
def api_server(folder: Path) -> Iterator[ApiServer]:
    """Starts etcd and kube-apiserver with their data in `folder`; skips the test if they are not installed."""
    if not shutil.which("etcd") or not shutil.which("kube-apiserver"):
        lacking("no API server: some tests of the chart need etcd and kube-apiserver on the PATH", "KUBE_APISERVER")
    clients, peers, port = (free_port() for _ in range(3))
    key = folder / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", key], check=True, capture_output=True)
    (folder / "tokens.csv").write_text(f"{TOKEN},admin,1,system:masters\n")
    (folder / "kubeconfig").write_text(json.dumps(_kubeconfig(port)))
    etcd = f"""etcd --data-dir={folder}/etcd --unsafe-no-fsync
        --listen-client-urls=http://127.0.0.1:{clients} --advertise-client-urls=http://127.0.0.1:{clients}
        --listen-peer-urls=http://127.0.0.1:{peers} --initial-advertise-peer-urls=http://127.0.0.1:{peers}
        --initial-cluster=default=http://127.0.0.1:{peers}"""
    server = f"""kube-apiserver --etcd-servers=http://127.0.0.1:{clients} --bind-address=127.0.0.1 --secure-port={port}
        --cert-dir={folder}/certificates --token-auth-file={folder}/tokens.csv --authorization-mode=RBAC
        --service-account-issuer=https://tests --service-account-key-file={key} --service-account-signing-key-file={key}
        --service-cluster-ip-range=10.96.0.0/16 --disable-admission-plugins=ServiceAccount"""
    with (folder / "log").open("w") as log:
        processes = [subprocess.Popen(command.split(), stdout=log, stderr=log) for command in (etcd, server)]
        try:
            running = ApiServer(folder / "kubeconfig")
            until(running.answers, 120)
            yield running
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait(60)


def _kubeconfig(port: int) -> dict[str, object]:
    cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": TOKEN}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "current-context": "tests",
    }
