"""Who sets the number of pods, and by which metrics."""

import json
from typing import Any

from tests.support.chart import Object, named, render

REQUESTS = {
    "type": "Pods",
    "pods": {"metric": {"name": "requests"}, "target": {"type": "AverageValue", "averageValue": "50"}},
}


def autoscaler(*arguments: object) -> Object:
    spec: Object = named(render(*arguments), "HorizontalPodAutoscaler", "lookbook")["spec"]
    return spec


def deployment(*arguments: object) -> Object:
    spec: Object = named(render(*arguments), "Deployment", "lookbook")["spec"]
    return spec


def metrics(*arguments: object) -> list[Any]:
    return [metric["type"] for metric in autoscaler(*arguments)["metrics"]]


def test_the_autoscaler_alone_sets_the_number_of_pods() -> None:
    assert "replicas" not in deployment()


def test_without_autoscaling_the_chart_sets_it() -> None:
    fixed = ("--set", "autoscaling.enabled=false")
    assert deployment(*fixed)["replicas"] == 2
    assert deployment(*fixed, "--set", "replicas=5")["replicas"] == 5
    assert not [item for item in render(*fixed) if item["kind"] == "HorizontalPodAutoscaler"]


def test_something_else_may_set_it() -> None:
    assert "replicas" not in deployment("--set", "autoscaling.enabled=false,replicas=null")
    assert "replicas" not in deployment("--set", "autoscaling.enabled=false", "--set-json", "replicas=null")


def test_metrics_are_added_or_replaced() -> None:
    more = ("--set-json", f"autoscaling.metrics={json.dumps([REQUESTS])}")
    assert metrics() == ["ContainerResource"]
    assert metrics(*more) == ["ContainerResource", "Pods"]
    assert metrics(*more, "--set", "autoscaling.targetCPU=null") == ["Pods"]


def test_the_behavior_can_be_replaced() -> None:
    own = {"scaleDown": {"selectPolicy": "Disabled"}}
    assert autoscaler("--set-json", f"autoscaling.behavior={json.dumps(own)}")["behavior"] == own
    assert autoscaler()["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
