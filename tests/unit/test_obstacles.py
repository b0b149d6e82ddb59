from typing import Any

import pytest
from kubernetes.client import (
    V1Container,
    V1ContainerState,
    V1ContainerStateTerminated,
    V1ContainerStateWaiting,
    V1ContainerStatus,
    V1ObjectMeta,
    V1Pod,
    V1PodCondition,
    V1PodSpec,
    V1PodStatus,
)
from lookbook.cli.obstacles import obstacle

UNSCHEDULED = (
    "0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
    "3 Insufficient cpu. no new claims to deallocate, preemption: 0/4 nodes are available: 4 Preemption is not helpful."
)


def pod(**status: Any) -> V1Pod:
    spec = V1PodSpec(init_containers=[V1Container(name="model-init")], containers=[V1Container(name="driver")])
    return V1Pod(metadata=V1ObjectMeta(name="a"), spec=spec, status=V1PodStatus(**status))


def waiting(reason: str, message: str | None = None) -> V1Pod:
    return _in_state(V1ContainerState(waiting=V1ContainerStateWaiting(reason=reason, message=message)), "driver")


def ended(name: str, exit_code: int, reason: str) -> V1Pod:
    terminated = V1ContainerStateTerminated(exit_code=exit_code, reason=reason)
    return _in_state(V1ContainerState(terminated=terminated), name)


def _in_state(state: V1ContainerState, name: str) -> V1Pod:
    status = V1ContainerStatus(
        name=name, image="lookbook-spark:1", image_id="", ready=False, restart_count=0, state=state
    )
    return pod(**{f"{'init_' if name == 'model-init' else ''}container_statuses": [status]})


def unscheduled(message: str) -> V1Pod:
    return pod(conditions=[V1PodCondition(type="PodScheduled", status="False", message=message)])


@pytest.mark.parametrize(
    "healthy",
    [
        pod(),
        pod(conditions=[V1PodCondition(type="PodScheduled", status="True")]),
        waiting("ContainerCreating"),
        waiting("ErrImagePull", "it says more when it waits"),
        ended("model-init", 0, "Completed"),
        ended("driver", 1, "Error"),  # its log says why
    ],
)
def test_nothing_is_said_about_a_pod_that_starts_or_has_a_log(healthy: V1Pod) -> None:
    assert obstacle(healthy) == ""


@pytest.mark.parametrize(
    ("stuck", "message"),
    [
        (
            waiting("ImagePullBackOff", "Back-off pulling image:\nnot found"),
            "cannot start: ImagePullBackOff: Back-off pulling image: not found; push the container image "
            "lookbook-spark:1, or correct images in the values of the release",
        ),
        (
            waiting("CreateContainerConfigError", 'secret "cassandra" not found'),
            'cannot start: CreateContainerConfigError: secret "cassandra" not found; see kubectl describe pod',
        ),
        (
            unscheduled(UNSCHEDULED),
            "waits for a node: 0/4 nodes are available: 1 node(s) had untolerated taint "
            "{node-role.kubernetes.io/control-plane: }, 3 Insufficient cpu; add nodes, or ask for less with "
            "--executors or --conf",
        ),
        (
            unscheduled('persistentvolumeclaim "photos" not found'),
            'waits for a node: persistentvolumeclaim "photos" not found; see kubectl describe pod',
        ),
        (ended("model-init", 1, "Error"), "failed: `kubectl logs a --container model-init` says why"),
        (ended("driver", 137, "OOMKilled"), "failed: its container driver ran out of memory"),
    ],
)
def test_an_obstacle_is_one_line_that_says_what_to_do(stuck: V1Pod, message: str) -> None:
    assert obstacle(stuck) == message
