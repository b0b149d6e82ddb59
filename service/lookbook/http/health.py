"""Liveness and readiness."""

from flask import Blueprint, current_app

from lookbook.store import Store

blueprint = Blueprint("health", __name__)


@blueprint.get("/livez")
def livez() -> dict[str, str]:
    return {"status": "alive"}


@blueprint.get("/readyz")
def readyz() -> tuple[dict[str, str], int]:
    """Ready once the store has been reached; a store that goes away later shows in the body alone."""
    store: Store = current_app.extensions["store"]
    status = store.status()
    body = {"status": "ready" if status.reached else "starting", "store": status.failure or "up"}
    return body, 200 if status.reached else 503
