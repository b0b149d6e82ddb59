"""Liveness and readiness."""

from lookbook.http.components import components
from lookbook.http.routing import PublicBlueprint

blueprint = PublicBlueprint("health", __name__)


@blueprint.get("/livez")
def livez() -> dict[str, str]:
    return {"status": "alive"}


@blueprint.get("/readyz")
def readyz() -> tuple[dict[str, str], int]:
    """Ready once the store has been reached. If it becomes unavailable later, only the body says so."""
    status = components().store.status()
    body = {"status": "ready" if status.reached else "starting", "store": status.failure or "up"}
    return body, 200 if status.reached else 503
