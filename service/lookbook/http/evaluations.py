"""/v1/evaluations: how good a model version is, estimated from judgments of its predictions.

Tests: tests/unit/test_quality_api.py.
"""

from typing import Any

from flask import Blueprint, request

from lookbook.http.components import components
from lookbook.http.listing import read_time, refuse_unknown
from lookbook.http.responses import time_json
from lookbook.http.roles import Role, needs
from lookbook.http.window import PARAMETERS, model_json, read_window
from lookbook.quality import date_of, load_frames, load_truths, sampled_models
from lookbook.truth.evaluation import evaluate

blueprint = Blueprint("evaluations", __name__, url_prefix="/v1/evaluations")


@blueprint.get("")
@needs(Role.READ)
def show() -> dict[str, Any]:
    refuse_unknown(request.args, *PARAMETERS, "as_of")
    window, as_of = read_window(request.args), read_time("as_of", request.args.get("as_of"))
    store = components().store
    with components().turns.take():
        models = sampled_models(store, window.since, window.until)
        days = models.get(window.model, [])
        frames = load_frames(store, window, days)
        evaluation = evaluate(frames, load_truths(store, window, frames, as_of))
    return {
        "model": model_json(window.model_name, window.model_version),
        "since": date_of(window.since),
        "until": date_of(window.until),
        "as_of": as_of and time_json(as_of),
        "models": [model_json(name, version) for name, version in sorted(models)],
        **evaluation.to_json(),
    }
