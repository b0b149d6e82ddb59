"""A release's pods: publishing a bundle into the one that holds the volume, and asking who serves what."""

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

from kubernetes.client import ApiClient, ApiException, AppsV1Api, Configuration, CoreV1Api
from kubernetes.config import ConfigException, list_kube_config_contexts, load_kube_config
from kubernetes.stream import stream
from kubernetes.stream.ws_client import ERROR_CHANNEL, STDERR_CHANNEL, STDOUT_CHANNEL
from prometheus_client.parser import text_string_to_metric_families
from urllib3.exceptions import HTTPError
from websocket import WebSocketException

from lookbook.errors import LookbookError
from lookbook.model.bundle import MANIFEST, Bundle

BLOCK = 16 * 1024  # less than the room that a socket has when it takes anything at all
TIMEOUT = 10  # seconds, for each call of the API
STALLED_AFTER = 30  # seconds without room for more input
SETTLED_WITHIN = 300  # seconds, for the command in the pod after its last input
LAST_WORDS_WITHIN = 2  # seconds, for one that did not take all of it

_INIT = ["python", "-m", "model_init"]


class ClusterError(LookbookError):
    """What the cluster can't do for us, and why, in one line."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What a pod serves, or why it can't say."""

    name: str
    model: str
    digest: str


class Release:
    """An installation of the chart, as the kubeconfig's user may see it."""

    def __init__(self, name: str, namespace: str | None, context: str | None) -> None:
        self.name = name
        with _in_one_line():
            contexts, current = list_kube_config_contexts()
            chosen = next((entry for entry in contexts if entry["name"] == context), current)
            self.namespace: str = namespace or chosen["context"].get("namespace") or "default"
            configuration = Configuration()
            configuration.retries = False  # each would print a warning
            load_kube_config(context=context, client_configuration=configuration)
            client = ApiClient(configuration)
        self._core, self._apps = CoreV1Api(client), AppsV1Api(client)

    def published(self) -> list[dict[str, Any]]:
        """The entries of `model_init list`."""
        with _in_one_line():
            entries: list[dict[str, Any]] = json.loads(self._run([*_INIT, "list"]))
            return entries

    def publish(self, tar: IO[bytes], sent: Callable[[int], object]) -> str:
        """Send a packed bundle to the pod that holds the volume; what the pod says of it."""
        size = os.fstat(tar.fileno()).st_size
        with _in_one_line():
            return self._run([*_INIT, "receive", "--bytes", str(size)], tar, sent)

    def serving(self) -> list[Serving]:
        with _in_one_line():
            return [self._serving(pod) for pod in self._pods("service")]

    def _serving(self, pod: Any) -> Serving:
        name = pod.metadata.name
        port = pod.spec.containers[0].ports[0].container_port
        try:
            text = self._core.connect_get_namespaced_pod_proxy_with_path(
                f"{name}:{port}", self.namespace, "metrics", _request_timeout=TIMEOUT
            )
        except (ApiException, HTTPError) as error:
            return Serving(name, f"can't say: {_reason(error)}", "")
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "lookbook_model_info":
                    return Serving(name, f"{sample.labels['name']}/{sample.labels['version']}", sample.labels["digest"])
        return Serving(name, "can't say: no model is loaded yet", "")

    def _pods(self, component: str) -> list[Any]:
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}"
        listed = self._core.list_namespaced_pod(self.namespace, label_selector=selector, _request_timeout=TIMEOUT)
        return sorted(listed.items, key=lambda pod: pod.metadata.name)

    def _models_pod(self) -> str:
        for pod in self._pods("models"):
            if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp:
                return str(pod.metadata.name)
        claim = self._own_claim()
        if claim:
            raise ClusterError(
                f"release {self.name} takes its models from a claim of your own (model.existingClaim={claim}): "
                "copy the bundle into that volume as <name>/<version>"
            )
        raise ClusterError(
            f"no running pod of release {self.name} in namespace {self.namespace} holds the models: "
            f"kubectl get pods --namespace {self.namespace} --selector app.kubernetes.io/component=models"
        )

    def _own_claim(self) -> str | None:
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=service"
        found = self._apps.list_namespaced_deployment(
            self.namespace, label_selector=selector, _request_timeout=TIMEOUT
        ).items
        volumes = [volume for deployment in found for volume in deployment.spec.template.spec.volumes or []]
        claims = [volume.persistent_volume_claim for volume in volumes if volume.name == "models"]
        return next((str(claim.claim_name) for claim in claims if claim), None)

    def _run(self, command: list[str], input: IO[bytes] | None = None, sent: Callable[[int], object] = id) -> str:
        """Run a command in the pod that holds the volume; its output."""
        socket = stream(
            self._core.connect_get_namespaced_pod_exec,
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
            taken = _send(socket, input, sent) if input else True
            socket.run_forever(SETTLED_WITHIN if taken else LAST_WORDS_WITHIN)
            return _answer(socket)
        finally:
            socket.close()


@contextmanager
def packed(folder: Path, bundle: Bundle) -> Iterator[IO[bytes]]:
    """A tar of the files that the manifest lists, and of nothing else."""
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
    """Send the input; False where the command did not take all of it.

    The API does not tell that a command has ended while input for it is left over: then nobody reads on.
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


def _answer(socket: Any) -> str:
    said, wrong, ended = (
        bytes(socket.read_channel(channel)).decode(errors="replace").strip()
        for channel in (STDOUT_CHANNEL, STDERR_CHANNEL, ERROR_CHANNEL)
    )
    status = json.loads(ended) if ended else {}
    if status.get("status") == "Success":
        return said
    raise ClusterError(wrong or status.get("message") or "the pod took no more of what was sent: try again")


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except (ApiException, HTTPError, WebSocketException, ConfigException, OSError) as error:
        raise ClusterError(f"the Kubernetes API can't be used: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, ApiException):
        try:
            return str(json.loads(error.body)["message"])
        except (TypeError, ValueError, KeyError):
            return f"{error.status or ''} {error.reason}".strip()
    return str(error)
