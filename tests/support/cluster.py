"""The cluster that kubectl points to, as the tests use it."""

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from tests.support.pages import block
from tests.support.places import CHART, ROOT
from tests.support.running import docker, until

RELEASE = "lookbook"
NODE_PORT = 30080
# Cassandra nodes small enough to run three on one machine, and quick to start.
SMALL: dict[str, object] = {
    "cassandra.heap": "256M",
    "cassandra.resources": {"requests": {"cpu": "250m", "memory": "768Mi"}, "limits": {"memory": "1Gi"}},
    "resources.requests.cpu": "500m",
    "cassandra.jvmOptions": "-Dcassandra.ring_delay_ms=5000 -Dcassandra.skip_wait_for_gossip_to_settle=0"
    # Turns off the second compiler, which would keep two cores busy for a minute after each start.
    " -XX:TieredStopAtLevel=1",
}
CPU_REQUEST = 0.15
TARGET_CPU = 65
# The service is reached through a node's port, and requests little CPU so that a small load makes the autoscaler act.
OPTIONS: dict[str, object] = {
    "service.type": "NodePort",
    "service.nodePort": NODE_PORT,
    "resources.requests.cpu": f"{CPU_REQUEST * 1000:.0f}m",
    "autoscaling.targetCPU": TARGET_CPU,
    "autoscaling.scaleDownAfter": 15,
    "autoscaling.maxReplicas": 4,
}
URL = os.environ.get("E2E_URL", f"http://127.0.0.1:{NODE_PORT}")


def run(*command: object, seconds: float = 300, ok: bool = True) -> str:
    """Output of a command; fails, and shows the output, if the command fails."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=seconds, cwd=ROOT)
    assert not ok or result.returncode == 0, f"{command}:\n{result.stdout}{result.stderr}"
    return result.stdout + result.stderr


class Cluster:
    """One namespace of the cluster, which enforces the restricted Pod Security Standard."""

    def __init__(self, namespace: str) -> None:
        config.load_kube_config()
        self.namespace = namespace
        self.core = client.CoreV1Api()
        self.apps = client.AppsV1Api()
        self.batch = client.BatchV1Api()

    def create(self) -> None:
        labels = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
        self.core.create_namespace({"metadata": {"name": self.namespace, "labels": labels}})

    def remove(self) -> None:
        self.core.delete_namespace(self.namespace)

        def gone() -> bool:
            return all(item.metadata.name != self.namespace for item in self.core.list_namespace().items)

        until(gone, 240)

    def helm(self, *arguments: object, seconds: float = 400, ok: bool = True) -> str:
        return run("helm", "--namespace", self.namespace, *arguments, seconds=seconds, ok=ok)

    def kubectl(self, *arguments: object, ok: bool = True, seconds: float = 300) -> str:
        return run("kubectl", "--namespace", self.namespace, *arguments, ok=ok, seconds=seconds)

    def follow(self, name: str) -> None:
        """Run the block of that name in the chart's README."""
        script = block(CHART / "README.md", f"sh {name}")
        tools = [f'{tool}() {{ command {tool} --namespace {self.namespace} "$@"; }}' for tool in ("kubectl", "helm")]
        run("sh", "-euc", "\n".join([*tools, script]), seconds=600)

    def pods(self, component: str) -> list[Any]:
        """The pods of a component that are not being deleted."""
        selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}"
        found = self.core.list_namespaced_pod(self.namespace, label_selector=selector).items
        return [pod for pod in found if not pod.metadata.deletion_timestamp]

    def ready(self, component: str) -> list[Any]:
        return [pod for pod in self.pods(component) if _is_ready(pod)]

    def until_ready(self, component: str, count: int, seconds: float = 240) -> None:
        until(lambda: len(self.ready(component)) == len(self.pods(component)) == count, seconds)

    def is_whole(self, **counts: int) -> bool:
        """Whether each component has this number of pods, all of them ready and of the newest revision."""
        return (
            all(len(self.ready(component)) == len(self.pods(component)) == count for component, count in counts.items())
            and not self._is_rolling_out()
        )

    def until_whole(self, **counts: int) -> None:
        until(lambda: self.is_whole(**counts), 400)

    def _is_rolling_out(self) -> bool:
        kinds = [
            self.apps.list_namespaced_deployment(self.namespace),
            self.apps.list_namespaced_stateful_set(self.namespace),
        ]
        return any(
            item.metadata.generation != item.status.observed_generation
            or (item.status.updated_replicas or 0) < item.spec.replicas
            for kind in kinds
            for item in kind.items
        )

    def until_rolled_out(self, target: str = f"deployment/{RELEASE}", seconds: float = 240) -> None:
        """Wait until only pods of the newest revision exist, and are ready."""
        self.kubectl("rollout", "status", target, f"--timeout={seconds:.0f}s", seconds=seconds + 10)

    def cpu_seconds(self, component: str) -> float:
        """CPU time that the component's containers have used so far."""
        code = (
            "from pathlib import Path; v1, v2 = Path('/sys/fs/cgroup/cpuacct/cpuacct.usage'), "
            "Path('/sys/fs/cgroup/cpu.stat'); "
            "print(int(v1.read_text()) / 1e9 if v1.exists() else int(v2.read_text().split()[1]) / 1e6)"
        )
        return sum(
            float(self.kubectl("exec", pod.metadata.name, f"--container={component}", "--", "python", "-c", code))
            for pod in self.ready(component)
        )

    def delete_pod(self, name: str, **options: Any) -> None:
        self.core.delete_namespaced_pod(name, self.namespace, **options)

    def evict(self, pod: Any) -> None:
        """Evict a pod as `kubectl drain` does, which tries again while a disruption budget forbids it."""
        body = {"metadata": {"name": pod.metadata.name, "namespace": self.namespace}}

        def evicted() -> bool:
            try:
                self.core.create_namespaced_pod_eviction(pod.metadata.name, self.namespace, body)
            except ApiException as error:
                if error.status == 429:
                    return False
                if error.status != 404:
                    raise
            return True

        until(evicted, 240)

    @contextmanager
    def cordoned(self, node: str) -> Iterator[None]:
        self.core.patch_node(node, {"spec": {"unschedulable": True}})
        try:
            yield
        finally:
            self.core.patch_node(node, {"spec": {"unschedulable": None}})

    def workers(self) -> list[str]:
        """Names of the nodes that accept pods."""
        return sorted(
            node.metadata.name
            for node in self.core.list_node().items
            if not any(taint.effect == "NoSchedule" for taint in node.spec.taints or [])
        )

    @contextmanager
    def shared_models(self, name: str) -> Iterator[None]:
        """A claim that all pods can mount, with this checkout's bundles; k8s/kind.yaml mounts them into each worker."""
        with self.shared_folder(name, "/models"):
            yield

    @contextmanager
    def shared_folder(self, name: str, folder: str) -> Iterator[None]:
        """A claim that all pods can mount, with a folder that each worker has."""
        volume = f"{self.namespace}-{name}"
        both = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
        claim = {"name": name, "namespace": self.namespace}
        path = {"path": folder, "type": "Directory"}
        self.core.create_persistent_volume(
            {
                "metadata": {"name": volume},
                "spec": {**both, "capacity": {"storage": "1Gi"}, "hostPath": path, "claimRef": claim},
            }
        )
        self.core.create_namespaced_persistent_volume_claim(
            self.namespace,
            {
                "metadata": {"name": name},
                "spec": {**both, "resources": {"requests": {"storage": "1Gi"}}, "volumeName": volume},
            },
        )
        try:
            yield
        finally:
            self.core.delete_namespaced_persistent_volume_claim(name, self.namespace)
            self.core.delete_persistent_volume(volume)

    def scale(self, target: str, replicas: int) -> None:
        self.kubectl("scale", target, f"--replicas={replicas}")

    def secret(self, name: str, key: str) -> str:
        return base64.b64decode(self.core.read_namespaced_secret(name, self.namespace).data[key]).decode()

    def delete_schema_job(self) -> None:
        """Delete the schema Job, so that the next upgrade starts a new one."""
        selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=schema"
        self.kubectl("delete", "job", "--selector", selector)

    def schema_log(self) -> str:
        selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=schema"
        return self.kubectl("logs", "--selector", selector, "--all-containers", "--tail=-1", ok=False)

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[str]:
        """The URL at which `target` is reachable from this machine."""
        command = ["kubectl", "--namespace", self.namespace, "port-forward", target, f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                line = process.stdout.readline()
                yield "http://" + line.split()[2]
            finally:
                process.terminate()

    def stray(self, name: str, image: str, script: str, labels: dict[str, str] | None = None) -> str:
        """Run Python code in a pod of its own; returns what it printed."""
        self._start(name, image, script, {"labels": labels or {}})
        until(lambda: self._phase(name) in ("Succeeded", "Failed"), 90)
        output = self.kubectl("logs", name)
        self.delete_pod(name)
        return output

    @contextmanager
    def busy(self, image: str) -> Iterator[None]:
        """Each worker has a process that uses a CPU and has as large a share of it as a Cassandra node."""
        names = {f"busy-{node}": node for node in self.workers()}
        for name, node in names.items():
            self._start(name, image, "while True: pass", {}, nodeName=node)
        try:
            until(lambda: all(self._phase(name) == "Running" for name in names), 90)
            yield
        finally:
            for name in names:
                self.delete_pod(name, grace_period_seconds=0)

    @contextmanager
    def cut_off(self, pod: Any, port: int) -> Iterator[None]:
        """Drop what the pod sends to this port, also on open connections; its node is a container of kind."""
        rule = ("FORWARD", "--source", pod.status.pod_ip, "--protocol", "tcp", "--dport", str(port), "--jump", "DROP")
        docker("exec", pod.spec.node_name, "iptables", "--insert", *rule)
        try:
            yield
        finally:
            docker("exec", pod.spec.node_name, "iptables", "--delete", *rule)

    def _start(self, name: str, image: str, script: str, metadata: dict[str, Any], **spec: Any) -> None:
        container = {
            "name": "python",
            "image": image,
            "command": ["python", "-c", script],
            "resources": {"requests": {"cpu": "250m"}},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        user = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
        common = {"restartPolicy": "Never", "automountServiceAccountToken": False, "securityContext": user}
        self.core.create_namespaced_pod(
            self.namespace,
            {"metadata": {"name": name, **metadata}, "spec": {**common, **spec, "containers": [container]}},
        )

    def _phase(self, name: str) -> str:
        return str(self.core.read_namespaced_pod(name, self.namespace).status.phase)


def _is_ready(pod: Any) -> bool:
    return any(entry.type == "Ready" and entry.status == "True" for entry in pod.status.conditions or [])


def served(seconds: float = 30) -> None:
    """Wait until the service responds to requests from this machine."""
    pool = urllib3.PoolManager(retries=False)

    def responds() -> bool:
        try:
            return pool.request("GET", f"{URL}/api/tasks", timeout=5).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    until(responds, seconds)


def seconds_of(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def values(items: dict[str, object]) -> list[str]:
    """The values as arguments for helm."""
    return [part for key, value in items.items() for part in ("--set-json", f"{key}={json.dumps(value)}")]
