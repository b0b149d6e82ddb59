"""Liveness and readiness."""

from flask import Blueprint, current_app

from service.store import Store

blueprint = Blueprint("health", __name__)


@blueprint.get("/livez")
def livez() -> dict[str, str]:
    return {"status": "alive"}


@blueprint.get("/readyz")
def readyz() -> tuple[dict[str, str], int]:
    """Ready once the store has been reached; a store that goes away later shows in the body alone."""
    store: Store = current_app.extensions["store"]
    state = store.state()
    body = {"status": "ready" if store.reached() else "starting", "store": state or "up"}
    return body, 200 if store.reached() else 503
