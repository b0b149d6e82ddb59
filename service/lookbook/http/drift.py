"""/v1/drift: whether a version's predictions differ from those of its first days.

Tests: tests/unit/test_quality_api.py.
"""

from typing import Any

from flask import Blueprint, request

from lookbook.http.annotators import read_annotator
from lookbook.http.components import components
from lookbook.http.json_body import read_json, read_text
from lookbook.http.listing import refuse_unknown
from lookbook.http.responses import time_json
from lookbook.http.roles import Role, needs
from lookbook.http.window import model_json, read_model
from lookbook.prediction import created_at, id_maker
from lookbook.prediction import day as day_of
from lookbook.quality import DriftReference, drift_reference, measure_drift

blueprint = Blueprint("drift", __name__, url_prefix="/v1/drift")


@blueprint.get("")
@needs(Role.READ)
def show() -> dict[str, Any]:
    refuse_unknown(request.args, "model_version")
    model, store = read_model(request.args.get("model_version")), components().store
    with components().turns.take():
        reference = drift_reference(store, model)
        found = measure_drift(store, model, reference).to_json()
    started = _started_json(reference)
    return {"model": model_json(*model), **found, "reference": {**found["reference"], **started}}


@blueprint.post("/reference")
@needs(Role.ADMIN)
def start() -> tuple[dict[str, Any], int]:
    """Starts a reference: later days are compared with those that begin today."""
    body = read_json(request, ("model_version", "annotator"))
    version = read_text("model_version", body["model_version"]) if "model_version" in body else None
    model, id, annotator = read_model(version), id_maker()(), read_annotator(body)
    components().store.put_drift_reference(*model, id, annotator)
    return {"model": model_json(*model), **_started_json(DriftReference(day_of(id), id, annotator))}, 201


def _started_json(reference: DriftReference | None) -> dict[str, Any]:
    """When somebody started the reference, and who did; null if the version's first days are the reference."""
    if reference is None or reference.id is None:
        return {"started_at": None, "annotator": None}
    return {"started_at": time_json(created_at(reference.id)), "annotator": reference.annotator}
