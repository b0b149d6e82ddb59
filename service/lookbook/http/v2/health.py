"""Liveness and readiness, as the Open Inference Protocol spells them. Tests: tests/unit/test_v2.py."""

from typing import Any

from lookbook.http.components import components
from lookbook.http.routing import PublicBlueprint
from lookbook.http.v2.models import find_model

blueprint = PublicBlueprint("health", __name__)


@blueprint.get("/health/live")
def live() -> dict[str, bool]:
    return {"live": True}


@blueprint.get("/health/ready")
def ready() -> tuple[dict[str, bool], int]:
    ready = components().ready
    return {"ready": ready}, 200 if ready else 503


@blueprint.get("/models/<name>/ready")
@blueprint.get("/models/<name>/versions/<version>/ready")
def model_ready(name: str, version: str | None = None) -> tuple[dict[str, Any], int]:
    find_model(name, version)
    body, status = ready()
    return {"name": name, **body}, status
