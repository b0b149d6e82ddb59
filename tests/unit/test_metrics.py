import json
import os
import re
import signal
from collections.abc import Callable

import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.places import BAG, CHART
from tests.support.running import Service, until


def total(service: Service, name: str) -> float:
    lines = requests.get(f"{service.url}/metrics", timeout=10).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def test_counters_include_every_worker_even_a_dead_one(serve: Callable[..., Service]) -> None:
    service = serve(workers=3).ready()
    until(lambda: total(service, "lookbook_model_info") == 1)
    for _ in range(30):
        assert service.send(BAG.read_bytes()).status_code == 201
    assert total(service, 'lookbook_predictions_total{label="Bag"}') == 30
    dead = service.workers()[0]
    os.kill(dead, signal.SIGKILL)
    until(lambda: len(set(service.workers()) - {dead}) == 3)
    assert total(service, 'lookbook_predictions_total{label="Bag"}') == 30
    assert total(service, 'lookbook_requests_total{code="201",route="/v1/predictions"}') == 30
    assert total(service, "lookbook_in_flight") == 0
    until(lambda: total(service, "lookbook_store_up") == 1)


def test_the_steps_of_a_request_are_timed(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    service.send(BAG.read_bytes())
    for part in ("decode", "inference", "store"):
        assert total(service, f"lookbook_{part}_seconds_count") == 1
        assert 0 < total(service, f"lookbook_{part}_seconds_sum") < 10


# In PromQL: a metric of ours, the labels that select its series, and the labels that series are summed by.
_SERIES = re.compile(r"(lookbook_\w+)(?:\{(.*?)\})?")
_BY = re.compile(r"\bby \((.*?)\)")
# Prometheus adds these labels to what it scrapes from a pod.
_ADDED = {"namespace", "service", "pod"}


def expressions() -> list[str]:
    """The expressions of the chart's alerts and of its dashboard."""
    files = CHART / "files"
    rules = re.sub(r"{{.*?}}", "lookbook", (files / "alerts.yaml").read_text())
    alerts = [rule["expr"] for rule in yaml.safe_load(rules)]
    panels = json.loads((files / "dashboard.json").read_text())["panels"]
    return alerts + [target["expr"] for panel in panels for target in panel.get("targets", [])]


def test_every_metric_that_the_chart_uses_exists(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    assert service.send(BAG.read_bytes()).status_code == 201
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(requests.get(f"{service.url}/metrics", timeout=10).text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    used_by_chart = [expression for expression in expressions() if "lookbook_" in expression]
    assert len(used_by_chart) > 10
    for expression in used_by_chart:
        for name, selectors in _SERIES.findall(expression):
            by = {label.strip() for labels in _BY.findall(expression) for label in labels.split(",")}
            used = by | set(re.findall(r"(\w+)=", selectors))
            assert used - _ADDED <= labels.get(name, set()), expression
            assert name in labels, expression
