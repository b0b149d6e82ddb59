"""A registry of container images and charts, which this machine and the nodes of a kind cluster reach as localhost."""

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.requirements import lacking
from tests.support.running import docker, free_port, until

_PROGRAM = "github.com/distribution/distribution/v3/cmd/registry@v3.1.2"
_DOCKERFILE = """
FROM scratch
COPY registry config.yaml /
ENTRYPOINT ["/registry", "serve", "/config.yaml"]
"""
_CONFIG = """
version: 0.1
storage:
  filesystem:
    rootdirectory: /data
http:
  addr: 127.0.0.1:{port}
"""


@contextmanager
def registry(nodes: list[str], folder: Path) -> Iterator[str]:
    """The address of a registry, which is removed afterward with all its contents. Skips the test without Go.

    Every client accepts a registry without TLS on localhost. So one process runs in the network of this machine and one
    in that of each node; they share a volume, and nothing else can reach them.
    """
    port, name = free_port(), f"lookbook-registry-{uuid.uuid4().hex[:8]}"
    _build(name, port, folder)
    docker("volume", "create", name)
    networks = ["host", *(f"container:{node}" for node in nodes)]
    started: list[str] = []
    try:
        for network in networks:
            run = ("run", "--detach", "--network", network, "--volume", f"{name}:/data", name)
            started.append(docker(*run).strip())
        until(lambda: "listening on" in _logs(started[0]))
        yield f"localhost:{port}"
    finally:
        docker("rm", "--force", *started)
        docker("volume", "rm", name)
        docker("image", "rm", name)


def _build(name: str, port: int, folder: Path) -> None:
    if not shutil.which("go"):
        lacking("Go is missing: it builds the registry of this test", "GO")
    command = ["env", f"GOBIN={folder}", "CGO_ENABLED=0", "go", "install", _PROGRAM]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    (folder / "config.yaml").write_text(_CONFIG.format(port=port))
    docker("build", "--tag", name, str(folder))


def _logs(container: str) -> str:
    found = subprocess.run(["docker", "logs", container], capture_output=True, text=True)
    return found.stdout + found.stderr
