"""The batch jobs of a release, each a Job of Kubernetes whose pod is Spark's driver.

Tests: tests/chart/test_cluster_jobs.py, tests/e2e/test_spark.py.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

import yaml
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from lookbook.cli.cluster import TIMEOUT, ClusterError, Release, in_one_line

_IMAGES = "/images"  # where the pods mount the volume with the images
_MOUNT = "spark.kubernetes.executor.volumes.persistentVolumeClaim.images"
_NAME, _SOURCE = "lookbook/job", "lookbook/source"  # annotations of the Job
_LONGEST_NAME = 63
_POLL_SECONDS = 1.0
_SILENCE_SECONDS = 180  # longer than between two lines of a job's log
_NOT_THERE = (400, 404)  # a container that has not started, a pod that was deleted


@dataclass(frozen=True, slots=True)
class ClusterJob:
    """`state` is running, complete, or failed; `uid` is the one of the Job."""

    name: str
    started_at: datetime
    state: str
    source: str
    object: str
    uid: str


class ClusterJobs:
    """What a release runs, and has run in the last week."""

    def __init__(self, release: Release) -> None:
        self._release = release

    def all(self) -> list[ClusterJob]:
        """Newest first."""
        with in_one_line():
            jobs = self._release.batch.list_namespaced_job(
                self._release.namespace, label_selector=self._release.selector("batch"), _request_timeout=TIMEOUT
            ).items
        return sorted(map(_cluster_job, jobs), key=lambda job: job.started_at, reverse=True)

    def start(self, name: str, source: str, claim: str | None, executors: int, options: Sequence[str]) -> bool:
        """Start a job, or start it again if it has ended; returns False if it is running.

        With a claim, the source is a path in its volume. `options` are those of `lookbook batch classify`.
        """
        manifest = self._template()
        manifest["metadata"] |= {
            "name": _object_name(manifest["metadata"]["name"], name),
            "annotations": {_NAME: name, _SOURCE: source},
        }
        _mount(manifest, claim)
        manifest["spec"]["template"]["spec"]["containers"][0]["args"] += [
            *_settings(executors, claim),
            *options,
            f"--job={name}",
            "--",
            f"{_IMAGES}/{source.strip('/')}" if claim and "://" not in source else source,
        ]
        old = self._find(name)
        if old and old.state == "running":
            return False
        if old:
            self._delete(old)
        with in_one_line():
            self._release.batch.create_namespaced_job(self._release.namespace, manifest, _request_timeout=TIMEOUT)
        return True

    def stop(self, name: str) -> None:
        job = self._find(name)
        if not job or job.state != "running":
            raise ClusterError(f"no job {name} is running: `lookbook batch list --on-cluster` lists the jobs")
        self._delete(job)

    def follow(self, name: str, write: Callable[[str], object], complain: Callable[[str], object]) -> None:
        """Write the log of the job until it has ended; complain about what it waits for.

        Raises ClusterError if it fails.
        """
        written: Counter[str] = Counter()  # lines, by the uid of the pod
        waits = ""
        while job := self._find(name):
            pod = self._driver(job)
            reason = _waits_for(pod) if pod else ""
            if reason and reason != waits:
                complain(f"waiting for pod {pod.metadata.name}: {reason}")
            waits = reason
            if pod:
                self._write_log(pod, written, write)
            if job.state == "complete":
                return
            if job.state == "failed":
                raise ClusterError(f"job {name} failed: its log says why; start it again to classify the rest")
            time.sleep(_POLL_SECONDS)
        raise ClusterError(f"job {name} was stopped: start it again to classify the rest")

    def _find(self, name: str) -> ClusterJob | None:
        return next((job for job in self.all() if job.name == name), None)

    def _delete(self, job: ClusterJob) -> None:
        with in_one_line():
            self._release.batch.delete_namespaced_job(
                job.object, self._release.namespace, propagation_policy="Background", _request_timeout=TIMEOUT
            )

    def _template(self) -> dict[str, Any]:
        """The Job that the chart has prepared."""
        with in_one_line():
            maps = self._release.core.list_namespaced_config_map(
                self._release.namespace, label_selector=self._release.selector("batch"), _request_timeout=TIMEOUT
            ).items
        if not maps:
            raise ClusterError(
                f"release {self._release.name} in namespace {self._release.namespace} cannot run batch jobs: check "
                "--release and --namespace, or set batch.enabled=true with helm upgrade"
            )
        template: dict[str, Any] = yaml.safe_load(maps[0].data["job.yaml"])
        return template

    def _driver(self, job: ClusterJob) -> Any:
        """The newest pod of the job."""
        with in_one_line():
            pods = self._release.core.list_namespaced_pod(
                self._release.namespace,
                label_selector=f"batch.kubernetes.io/controller-uid={job.uid}",
                _request_timeout=TIMEOUT,
            ).items
        return max(pods, key=lambda pod: pod.metadata.creation_timestamp, default=None)

    def _write_log(self, pod: Any, written: Counter[str], write: Callable[[str], object]) -> None:
        """Write the lines that have not been written yet, until the container ends or the connection is lost."""
        with in_one_line():
            try:
                log = self._release.core.read_namespaced_pod_log(
                    pod.metadata.name,
                    self._release.namespace,
                    container="driver",
                    follow=True,
                    _preload_content=False,
                    _request_timeout=(TIMEOUT, _SILENCE_SECONDS),
                )
                for number, line in enumerate(_lines(log)):
                    if number >= written[pod.metadata.uid]:
                        write(line)
                        written[pod.metadata.uid] += 1
            except HTTPError:
                pass  # the caller connects again
            except ApiException as error:
                if error.status not in _NOT_THERE:
                    raise


def _lines(log: Any) -> Iterator[str]:
    """The whole lines of a response."""
    rest = b""
    for block in log.stream():
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")


def _cluster_job(job: Any) -> ClusterJob:
    conditions = {entry.type for entry in job.status.conditions or [] if entry.status == "True"}
    state = "complete" if "Complete" in conditions else "failed" if "Failed" in conditions else "running"
    annotations, metadata = job.metadata.annotations or {}, job.metadata
    return ClusterJob(
        annotations.get(_NAME, metadata.name),
        metadata.creation_timestamp,
        state,
        annotations.get(_SOURCE, ""),
        metadata.name,
        metadata.uid,
    )


def _settings(executors: int, claim: str | None) -> list[str]:
    """Spark's settings for the executors, as options; those after them have precedence."""
    settings = {"spark.executor.instances": str(executors)}
    if claim:
        settings |= {
            f"{_MOUNT}.options.claimName": claim,
            f"{_MOUNT}.mount.path": _IMAGES,
            f"{_MOUNT}.mount.readOnly": "true",
        }
    return [f"--conf={key}={value}" for key, value in settings.items()]


def _mount(job: dict[str, Any], claim: str | None) -> None:
    """Mount the images for the driver; Spark does it for the executors."""
    if claim:
        pod = job["spec"]["template"]["spec"]
        pod["volumes"].append({"name": "images", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}})
        pod["containers"][0]["volumeMounts"].append({"name": "images", "mountPath": _IMAGES, "readOnly": True})


def _object_name(prefix: str, name: str) -> str:
    """The name of the Job: the one of the batch job if Kubernetes allows it."""
    plain = f"{prefix}-{name}"
    if len(plain) <= _LONGEST_NAME and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name):
        return plain
    return f"{prefix}-{blake2b(name.encode(), digest_size=4).hexdigest()}"


def _waits_for(pod: Any) -> str:
    """Why the pod has not started, if that may need someone to act."""
    for status in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
        waiting = status.state.waiting
        if waiting and waiting.reason not in ("PodInitializing", "ContainerCreating"):
            return f"{waiting.reason}: {waiting.message or 'see kubectl describe pod'}"
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status == "False":
            return str(condition.message)
    return ""
