"""The log of a container, line by line. Tests: tests/chart/test_cluster_jobs.py, tests/e2e/test_spark.py."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from lookbook.cli.cluster import TIMEOUT, Release, in_one_line

_QUIET_SECONDS = 10  # without a line, after which the caller gets to look at the pods
_OVERLAP_SECONDS = 5  # of the log, which are read again for lines that were on their way
_NOT_THERE = (400, 404)  # a container that has not started, a pod that was deleted


@dataclass(frozen=True, slots=True)
class _Line:
    """The last one that was written: its time on the node, and when it arrived here."""

    time: datetime
    arrived: float


class PodLog:
    """Writes each line once, no matter how often it has to connect."""

    def __init__(self, release: Release, container: str) -> None:
        self._release, self._container = release, container
        self._last: dict[str, _Line] = {}  # by the uid of the pod

    def follow(self, pod: Any, write: Callable[[str], object]) -> None:
        """Write new lines until the container ends, the connection is lost, or none has come for ten seconds."""
        with in_one_line():
            try:
                with closing(self._open(pod)) as log:
                    for line in _lines(log):
                        self._write(pod.metadata.uid, line, write)
            except HTTPError:
                pass  # the caller connects again
            except ApiException as error:
                # From 500 on, the node of the pod does not respond.
                if error.status not in _NOT_THERE and error.status < 500:
                    raise

    def _open(self, pod: Any) -> Any:
        last = self._last.get(pod.metadata.uid)
        since = {"since_seconds": int(time.monotonic() - last.arrived) + _OVERLAP_SECONDS} if last else {}
        return self._release.core.read_namespaced_pod_log(
            pod.metadata.name,
            self._release.namespace,
            container=self._container,
            follow=True,
            timestamps=True,
            **since,
            _preload_content=False,
            _request_timeout=(TIMEOUT, _QUIET_SECONDS),
        )

    def _write(self, uid: str, line: str, write: Callable[[str], object]) -> None:
        """Write the line unless it was written before."""
        stamp, _, text = line.partition(" ")
        try:
            moment = datetime.fromisoformat(stamp)
        except ValueError:
            return  # not a line of the container, but what the node says about the log
        last = self._last.get(uid)
        if last is None or moment > last.time:
            write(text)
            self._last[uid] = _Line(moment, time.monotonic())


def _lines(log: Any) -> Iterator[str]:
    """The whole lines of a response."""
    rest = b""
    for block in log.stream():
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
