"""The pods of a release: publish a bundle to its models volume, and list what is published and served.

Tests: tests/unit/test_cluster.py, tests/e2e/test_operation.py.
"""

import json
import os
import select
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kubernetes.client import ApiClient, ApiException, AppsV1Api, BatchV1Api, Configuration, CoreV1Api
from kubernetes.config import ConfigException, list_kube_config_contexts, load_kube_config
from kubernetes.stream import stream
from kubernetes.stream.ws_client import ERROR_CHANNEL, STDERR_CHANNEL, STDOUT_CHANNEL
from prometheus_client.parser import text_string_to_metric_families
from urllib3.exceptions import HTTPError
from websocket import WebSocketException

from lookbook.errors import LookbookError
from lookbook.model.bundle import MANIFEST, Bundle

BLOCK = 16 * 1024  # less than the free space of a socket that is ready for writing
TIMEOUT = 10  # seconds, for each API request
STALLED_AFTER = 30  # seconds in which the pod reads no input
FINISHED_WITHIN = 300  # seconds, for the command in the pod after its last input
ERROR_WITHIN = 2  # seconds, for the output of a command that stopped reading its input

_INIT = ["python", "-m", "model_init"]


class ClusterError(LookbookError):
    """A request to the cluster failed; the message says why in one line."""


class ClusterUnreachable(ClusterError):
    """The API does not respond, or not now."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What a pod serves, or why that is unknown."""

    name: str
    model: str
    digest: str


class Release:
    """An installation of the chart, seen with the permissions of the kubeconfig's user."""

    def __init__(self, release: str, namespace: str | None, context: str | None) -> None:
        self.name = release
        with in_one_line():
            # The library itself would read the variable when it is imported, not now.
            file = os.environ.get("KUBECONFIG")
            contexts, current = list_kube_config_contexts(file)
            chosen = next((entry for entry in contexts if entry["name"] == context), current)
            self.namespace: str = namespace or chosen["context"].get("namespace") or "default"
            configuration = Configuration()
            configuration.retries = False  # each retry would print a warning
            load_kube_config(file, context=context, client_configuration=configuration)
            client = ApiClient(configuration)
        self.core, self.batch, self._apps = CoreV1Api(client), BatchV1Api(client), AppsV1Api(client)

    def published(self) -> list[dict[str, Any]]:
        """The published bundles, as `model_init list` prints them."""
        with in_one_line():
            entries: list[dict[str, Any]] = json.loads(self._run([*_INIT, "list"]))
            return entries

    def publish(self, tar: IO[bytes], sent: Callable[[int], object]) -> str:
        """Send a packed bundle to the pod that holds the volume; returns the pod's message."""
        size = os.fstat(tar.fileno()).st_size
        with in_one_line():
            return self._run([*_INIT, "receive", "--bytes", str(size)], tar, sent)

    def serving(self) -> list[Serving]:
        with in_one_line():
            return [self._serving(pod) for pod in self._pods("service")]

    def selector(self, component: str) -> str:
        """Selects the pods or other objects of a component."""
        return f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}"

    def _serving(self, pod: Any) -> Serving:
        name = pod.metadata.name
        port = pod.spec.containers[0].ports[0].container_port
        try:
            text = self.core.connect_get_namespaced_pod_proxy_with_path(
                f"{name}:{port}", self.namespace, "metrics", _request_timeout=TIMEOUT
            )
        except (ApiException, HTTPError) as error:
            return Serving(name, f"unknown: {_reason(error)}", "")
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "lookbook_model_info":
                    return Serving(name, f"{sample.labels['name']}/{sample.labels['version']}", sample.labels["digest"])
        return Serving(name, "unknown: no model is loaded yet", "")

    def _pods(self, component: str) -> list[Any]:
        listed = self.core.list_namespaced_pod(
            self.namespace, label_selector=self.selector(component), _request_timeout=TIMEOUT
        )
        return sorted(listed.items, key=lambda pod: pod.metadata.name)

    def _models_pod(self) -> str:
        for pod in self._pods("models"):
            if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp:
                return str(pod.metadata.name)
        claim = self._own_claim()
        if claim:
            raise ClusterError(
                f"release {self.name} reads its models from your own volume (model.existingClaim={claim}), where "
                "Lookbook cannot list or publish bundles; to publish one, copy it to <name>/<version> in that volume"
            )
        raise ClusterError(
            f"release {self.name} in namespace {self.namespace} has no running models pod: check kubectl get pods "
            f"--namespace {self.namespace} --selector {self.selector('models')}"
        )

    def _own_claim(self) -> str | None:
        found = self._apps.list_namespaced_deployment(
            self.namespace, label_selector=self.selector("service"), _request_timeout=TIMEOUT
        ).items
        volumes = [volume for deployment in found for volume in deployment.spec.template.spec.volumes or []]
        claims = [volume.persistent_volume_claim for volume in volumes if volume.name == "models"]
        return next((str(claim.claim_name) for claim in claims if claim), None)

    def _run(self, command: list[str], input: IO[bytes] | None = None, sent: Callable[[int], object] = id) -> str:
        """Run a command in the pod that holds the volume; returns its output."""
        socket = stream(
            self.core.connect_get_namespaced_pod_exec,
            self._models_pod(),
            self.namespace,
            container="models",
            command=command,
            stdin=input is not None,
            stdout=True,
            stderr=True,
            tty=False,
            binary=True,
            _preload_content=False,
        )
        try:
            socket.sock.settimeout(STALLED_AFTER)
            complete = _send(socket, input, sent) if input else True
            socket.run_forever(FINISHED_WITHIN if complete else ERROR_WITHIN)
            return _output(socket)
        finally:
            socket.close()


@contextmanager
def packed(folder: Path, bundle: Bundle) -> Iterator[IO[bytes]]:
    """A tar archive of only the files that the manifest lists."""
    with tempfile.TemporaryFile() as target:
        with tarfile.open(fileobj=target, mode="w") as tar:
            for path in (MANIFEST, *(file.path for file in bundle.files)):
                entry = tarfile.TarInfo(path)
                entry.size = (folder / path).stat().st_size
                with (folder / path).open("rb") as file:
                    tar.addfile(entry, file)
        target.seek(0)
        yield target


def _send(socket: Any, input: IO[bytes], sent: Callable[[int], object]) -> bool:
    """Send the input; returns False if the command stopped reading it.

    While input is left, the API does not report that a command has ended; it only stops reading.
    """
    deadline = time.monotonic() + STALLED_AFTER
    while time.monotonic() < deadline and socket.is_open():
        if socket.peek_channel(STDERR_CHANNEL) or socket.peek_channel(ERROR_CHANNEL):
            return False
        if not select.select([], [socket.sock.sock], [], 0.5)[1]:
            continue
        block = input.read(BLOCK)
        if not block:
            return True
        socket.write_stdin(block)
        sent(len(block))
        deadline = time.monotonic() + STALLED_AFTER
    return False


def _output(socket: Any) -> str:
    output, error, result = (
        bytes(socket.read_channel(channel)).decode(errors="replace").strip()
        for channel in (STDOUT_CHANNEL, STDERR_CHANNEL, ERROR_CHANNEL)
    )
    status = json.loads(result) if result else {}
    if status.get("status") == "Success":
        return output
    raise ClusterError(error or status.get("message") or "the pod stopped reading the bundle: try again")


@contextmanager
def in_one_line() -> Iterator[None]:
    """Raises ClusterError for what may go wrong with a request."""
    try:
        yield
    except (ApiException, HTTPError, WebSocketException, ConfigException, OSError) as error:
        later = isinstance(error, HTTPError) or (isinstance(error, ApiException) and (error.status or 0) >= 500)
        raise (ClusterUnreachable if later else ClusterError)(
            f"cannot use the Kubernetes API: {_reason(error)}; check --context, and that `kubectl get pods` works"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, ApiException):
        try:
            return str(json.loads(error.body)["message"])
        except (TypeError, ValueError, KeyError):
            return f"{error.status or ''} {error.reason}".strip()
    return str(error)
