"""/v1/evaluations: how good a model version is, or several pooled, estimated from judgments of its predictions.

Tests: tests/unit/test_quality_api.py.
"""

from typing import Any
from uuid import UUID

from flask import Blueprint, request

from lookbook.http.components import components
from lookbook.http.listing import read_time, refuse_unknown
from lookbook.http.responses import time_json
from lookbook.http.roles import Role, needs
from lookbook.http.window import PARAMETERS, model_json, read_windows
from lookbook.judgment import GroundTruth
from lookbook.quality import date_of, load_frames, load_truths, sampled_models
from lookbook.truth.evaluation import evaluate
from lookbook.truth.frame import Frame

blueprint = Blueprint("evaluations", __name__, url_prefix="/v1/evaluations")


@blueprint.get("")
@needs(Role.READ)
def show() -> dict[str, Any]:
    refuse_unknown(request.args, *PARAMETERS, "as_of")
    windows, as_of = read_windows(request.args), read_time("as_of", request.args.get("as_of"))
    since, until = windows[0].since, windows[0].until
    store = components().store
    frames: list[Frame] = []
    truths: dict[UUID, GroundTruth] = {}
    with components().turns.take():
        models = sampled_models(store, since, until)
        for window in windows:
            found = load_frames(store, window, models.get(window.model, []))
            frames += found
            truths |= load_truths(store, window, found, as_of)
        evaluation = evaluate(frames, truths)
    evaluated = [model_json(*window.model) for window in windows]
    return {
        "model": evaluated[0] if len(evaluated) == 1 else None,
        "pooled": evaluated if len(evaluated) > 1 else [],
        "since": date_of(since),
        "until": date_of(until),
        "as_of": as_of and time_json(as_of),
        "models": [model_json(name, version) for name, version in sorted(models)],
        **evaluation.to_json(),
    }
