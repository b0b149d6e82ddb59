"""/metrics: the metrics of all workers, for Prometheus."""

from flask import Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from lookbook.http.routing import PublicBlueprint

blueprint = PublicBlueprint("metrics", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return current_app.response_class(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
