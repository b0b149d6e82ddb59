"""/metrics: the metrics of all workers, for Prometheus."""

from flask import Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from lookbook.http.routing import PublicBlueprint
from lookbook.telemetry.metrics_files import registry

blueprint = PublicBlueprint("metrics", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    return current_app.response_class(generate_latest(registry()), content_type=CONTENT_TYPE_LATEST)
