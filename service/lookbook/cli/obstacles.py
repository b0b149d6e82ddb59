"""What keeps the pods of a job from running. Tests: tests/unit/test_obstacles.py."""

from typing import Any

_IMAGE = ("ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")
# Normal, or followed by a reason that says more.
_BRIEF = ("PodInitializing", "ContainerCreating", "ErrImagePull")


def obstacle(pod: Any) -> str:
    """What is wrong with a pod and what to do, as the rest of a sentence; empty if nothing needs attention."""
    for status in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
        found = _waits(status) or _ended(pod, status)
        if found:
            return found
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status == "False":
            return _unscheduled(condition.message or condition.reason or "")
    return ""


def _waits(status: Any) -> str:
    waiting = status.state.waiting
    if not waiting or waiting.reason in _BRIEF:
        return ""
    advice = (
        f"push the container image {status.image}, or correct images in the values of the release"
        if waiting.reason in _IMAGE
        else "see kubectl describe pod"
    )
    return f"cannot start: {waiting.reason}: {_one_line(waiting.message or 'no message')}; {advice}"


def _ended(pod: Any, status: Any) -> str:
    """Why a container has ended, if the log of the job does not say so."""
    terminated = status.state.terminated
    if not terminated or not terminated.exit_code:
        return ""
    if terminated.reason == "OOMKilled":
        return f"failed: its container {status.name} ran out of memory"
    if status.name in {container.name for container in pod.spec.init_containers or []}:
        return f"failed: `kubectl logs {pod.metadata.name} --container {status.name}` says why"
    return ""


def _unscheduled(message: str) -> str:
    # The other sentences say why no pod can be evicted instead.
    reason = _one_line(message).partition(". ")[0].rstrip(".")
    advice = (
        "add nodes, or ask for less with --executors or --conf"
        if "Insufficient" in reason
        else "see kubectl describe pod"
    )
    return f"waits for a node: {reason}; {advice}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
