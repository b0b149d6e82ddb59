"""The page of the metrics."""

from collections.abc import Iterator

from lookbook.telemetry import metrics
from prometheus_client.metrics import MetricWrapperBase

from tools.reference import markdown

ABOUT = """\
This page lists the metrics that `GET /metrics` returns in Prometheus's text format. They cover all workers of a
server, and need no token. [Monitor Lookbook](../how-to/monitoring.md) says what to do with them.

A histogram `NAME` appears as `NAME_bucket`, `NAME_sum`, and `NAME_count`.
"""


def page() -> str:
    table = markdown.table(("metric", "type", "labels", "meaning"), _rows())
    return f"{markdown.heading('Metrics', 'service/lookbook/telemetry/metrics.py', ABOUT)}\n{table}"


def _rows() -> Iterator[tuple[str, str, str, str]]:
    for value in vars(metrics).values():
        if isinstance(value, MetricWrapperBase):
            (metric,) = value.describe()
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            labels = ", ".join(markdown.code(label) for label in value._labelnames)
            yield f"`{name}`", metric.type, labels, markdown.plain(metric.documentation)
