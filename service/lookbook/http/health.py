"""Liveness and readiness."""

from lookbook.http.components import components
from lookbook.http.routing import PublicBlueprint

blueprint = PublicBlueprint("health", __name__)


@blueprint.get("/livez")
def livez() -> dict[str, str]:
    return {"status": "alive"}


@blueprint.get("/readyz")
def readyz() -> tuple[dict[str, str], int]:
    ready, status = components().ready, components().store.status()
    state = "ready" if ready else "unavailable" if status.reached else "starting"
    return {"status": state, "store": status.failure or "up"}, 200 if ready else 503
