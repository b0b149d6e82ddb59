"""The batch jobs of a release, each a Job of Kubernetes whose pod is Spark's driver.

Tests: tests/chart/test_cluster_jobs.py, tests/e2e/test_spark.py.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from shlex import quote
from typing import Any

import yaml
from kubernetes.client import ApiException, V1DeleteOptions, V1Preconditions

from lookbook.cli.cluster import TIMEOUT, ClusterError, ClusterUnreachable, Release, in_one_line
from lookbook.cli.obstacles import obstacle
from lookbook.cli.pod_log import PodLog

_IMAGES = "/images"  # where the pods mount the volume with the images
_MOUNT = "spark.kubernetes.executor.volumes.persistentVolumeClaim.images"
_NAME, _SOURCE = "lookbook/job", "lookbook/source"  # annotations of the Job
_LONGEST_NAME = 63
_PURPOSE = 3  # arguments at the end
_POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 300.0  # for an API that does not respond while a job is followed
_UNREACHABLE = "the Kubernetes API does not respond; the job keeps running, and the command waits"


@dataclass(frozen=True, slots=True)
class NewJob:
    """What to start. With a claim, `source` and `parquet` are paths in its volume, unless they are URLs.

    `name` is that of the stored job, None if the predictions go to `parquet`. `options` are further ones of
    `lookbook batch classify`.
    """

    name: str | None
    parquet: str | None
    source: str
    claim: str | None
    executors: int
    options: Sequence[str]

    @property
    def title(self) -> str:
        """What the job is called on the cluster."""
        return self.name or str(self.parquet).strip("/")

    @property
    def writes(self) -> bool:
        """Whether it writes to the volume."""
        return bool(self.parquet and self._is_in_claim(self.parquet))

    def arguments(self) -> list[str]:
        return [*self.options, *self.purpose]

    @property
    def purpose(self) -> list[str]:
        """The arguments that say what the job reads, and where its predictions go."""
        where = f"--job={self.name}" if self.name else f"--parquet={self._path(str(self.parquet))}"
        return [where, "--", self._path(self.source)]

    def _is_in_claim(self, path: str) -> bool:
        return bool(self.claim) and "://" not in path

    def _path(self, path: str) -> str:
        return f"{_IMAGES}/{path.strip('/')}" if self._is_in_claim(path) else path


@dataclass(frozen=True, slots=True)
class ClusterJob:
    """`state` is running, complete, or failed; `uid` is the one of the Job; `purpose` is that of NewJob."""

    name: str
    started_at: datetime
    state: str
    source: str
    object: str
    uid: str
    purpose: list[str]


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

    def start(self, job: NewJob) -> bool:
        """Start a job, or start it again if it has ended; returns False if it is running.

        Raises ClusterError if another job of this name is running.
        """
        manifest = self._template()
        self._check_claim(job.claim)
        manifest["metadata"] |= {
            "name": _object_name(manifest["metadata"]["name"], job.title),
            "annotations": {_NAME: job.title, _SOURCE: job.source},
        }
        _mount(manifest, job)
        manifest["spec"]["template"]["spec"]["containers"][0]["args"] += [*_settings(job), *job.arguments()]
        old = self._find(job.title)
        if not old or old.state != "running":
            if old:
                self._delete(old)
            if self._create(manifest):
                return True
        self._check_purpose(job)
        return False

    def stop(self, name: str) -> None:
        job = self._find(name)
        if not job or job.state != "running":
            raise ClusterError(f"no job {name} is running: `lookbook batch list --on-cluster` lists the jobs")
        self._delete(job)

    def follow(self, name: str, write: Callable[[str], object], complain: Callable[[str], object]) -> None:
        """Write the log of the job until it has ended; complain about what it waits for.

        Raises ClusterError if it fails.
        """
        log, said, reached = PodLog(self._release, "driver"), set[str](), time.monotonic()
        while True:
            try:
                job = self._find(name)
                if job:
                    self._report(job, log, said, write, complain)
            except ClusterUnreachable:
                if time.monotonic() - reached > _PATIENCE_SECONDS:
                    raise
                if _UNREACHABLE not in said:
                    complain(_UNREACHABLE)
                    said.add(_UNREACHABLE)
            else:
                if job is None:
                    raise ClusterError(f"job {name} was stopped: start it again to classify the rest")
                if job.state == "failed":
                    raise ClusterError(f"job {name} failed: its log says why; start it again to classify the rest")
                if job.state == "complete":
                    return
                reached = time.monotonic()
            time.sleep(_POLL_SECONDS)

    def _report(
        self,
        job: ClusterJob,
        log: PodLog,
        said: set[str],
        write: Callable[[str], object],
        complain: Callable[[str], object],
    ) -> None:
        """Say once what keeps the pods of the job from running, and write what is new in its log."""
        driver = self._driver(job)
        if not driver:
            return
        for pod in (driver, *self._executors(driver)):
            reason = obstacle(pod)
            if reason and reason not in said:
                complain(f"pod {pod.metadata.name} {reason}")
                said.add(reason)
        log.follow(driver, write)

    def _create(self, manifest: dict[str, Any]) -> bool:
        """Create the Job; returns False if another command has just done so."""
        with in_one_line():
            try:
                self._release.batch.create_namespaced_job(self._release.namespace, manifest, _request_timeout=TIMEOUT)
            except ApiException as error:
                if error.status != 409:
                    raise
                return False
        return True

    def _check_purpose(self, job: NewJob) -> None:
        """Raises ClusterError if the running job of this name does something else."""
        running = self._find(job.title)
        if running and running.purpose != job.purpose:
            raise ClusterError(
                f"another job {job.title} is running ({' '.join(running.purpose)}): choose another name, or end it "
                f"with `lookbook batch stop {quote(job.title)}`"
            )

    def _find(self, name: str) -> ClusterJob | None:
        return next((job for job in self.all() if job.name == name), None)

    def _delete(self, job: ClusterJob) -> None:
        """Delete this job, and not one that another command has started under its name meanwhile."""
        options = V1DeleteOptions(propagation_policy="Background", preconditions=V1Preconditions(uid=job.uid))
        with in_one_line():
            try:
                self._release.batch.delete_namespaced_job(
                    job.object, self._release.namespace, body=options, _request_timeout=TIMEOUT
                )
            except ApiException as error:
                if error.status not in (404, 409):
                    raise

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

    def _check_claim(self, claim: str | None) -> None:
        """Raises ClusterError if there is no such claim: the pods would wait for it forever."""
        if not claim:
            return
        with in_one_line():
            try:
                self._release.core.read_namespaced_persistent_volume_claim(
                    claim, self._release.namespace, _request_timeout=TIMEOUT
                )
            except ApiException as error:
                if error.status == 404:
                    raise ClusterError(
                        f"claim {claim} not found in namespace {self._release.namespace}: "
                        "kubectl get persistentvolumeclaims lists those that exist"
                    ) from error
                if error.status != 403:  # who starts jobs may not be allowed to look
                    raise

    def _driver(self, job: ClusterJob) -> Any:
        """The newest pod of the job."""
        pods = self._pods(f"batch.kubernetes.io/controller-uid={job.uid}")
        return max(pods, key=lambda pod: pod.metadata.creation_timestamp, default=None)

    def _executors(self, driver: Any) -> list[Any]:
        return [
            pod
            for pod in self._pods(self._release.selector("batch-executor"))
            if driver.metadata.uid in {owner.uid for owner in pod.metadata.owner_references or []}
        ]

    def _pods(self, selector: str) -> list[Any]:
        with in_one_line():
            pods: list[Any] = self._release.core.list_namespaced_pod(
                self._release.namespace, label_selector=selector, _request_timeout=TIMEOUT
            ).items
        return pods


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
        job.spec.template.spec.containers[0].args[-_PURPOSE:],
    )


def _settings(job: NewJob) -> list[str]:
    """Spark's settings for the executors, as options; those after them have precedence."""
    settings = {"spark.executor.instances": str(job.executors)}
    if job.claim:
        settings |= {
            f"{_MOUNT}.options.claimName": job.claim,
            f"{_MOUNT}.mount.path": _IMAGES,
            f"{_MOUNT}.mount.readOnly": str(not job.writes).lower(),
        }
    return [f"--conf={key}={value}" for key, value in settings.items()]


def _mount(manifest: dict[str, Any], job: NewJob) -> None:
    """Mount the images for the driver; Spark does it for the executors."""
    if job.claim:
        pod, read_only = manifest["spec"]["template"]["spec"], not job.writes
        claim = {"claimName": job.claim, "readOnly": read_only}
        pod["volumes"].append({"name": "images", "persistentVolumeClaim": claim})
        pod["containers"][0]["volumeMounts"].append({"name": "images", "mountPath": _IMAGES, "readOnly": read_only})


def _object_name(prefix: str, name: str) -> str:
    """The name of the Job: the one of the batch job if Kubernetes allows it."""
    plain = f"{prefix}-{name}"
    if len(plain) <= _LONGEST_NAME and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name):
        return plain
    return f"{prefix}-{blake2b(name.encode(), digest_size=4).hexdigest()}"
