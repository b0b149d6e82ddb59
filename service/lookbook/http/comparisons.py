"""/v1/comparisons: what another model would have said, as `lookbook replay` found.

Tests: tests/unit/test_quality_api.py.
"""

import json
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, request

from lookbook.errors import InvalidRequest
from lookbook.http.components import components
from lookbook.http.json_body import read_json, read_text
from lookbook.http.listing import read_limit, refuse_unknown
from lookbook.http.lookup import read_id
from lookbook.http.responses import time_json
from lookbook.http.roles import Role, needs
from lookbook.http.window import read_model
from lookbook.prediction import created_at, id_maker
from lookbook.quality import judge_flips
from lookbook.store import Comparison, Flip, Store

DEFAULT_LIMIT, MAX_LIMIT = 5, 10
MAX_FLIPS = 2_000
MAX_REPORT = 64 * 1024  # bytes
_MAX_BYTES = 2 * 1024 * 1024

blueprint = Blueprint("comparisons", __name__, url_prefix="/v1/comparisons")


@blueprint.post("")
@needs(Role.ADMIN)
def create() -> tuple[dict[str, Any], int]:
    body = read_json(request, ("baseline", "candidate", "report", "flips"), _MAX_BYTES)
    baseline, candidate = (_read_version(name, body.get(name)) for name in ("baseline", "candidate"))
    report, flips = _read_report(body.get("report")), body.get("flips")
    if not isinstance(flips, list) or len(flips) > MAX_FLIPS:
        raise InvalidRequest(f"flips must be an array of at most {MAX_FLIPS} objects")
    comparison = Comparison(id_maker()(), baseline, candidate, report)
    store, found = components().store, [_read_flip(flip) for flip in flips]
    # With the turn, because a client that is told to try again would store the comparison twice.
    with components().turns.take():
        store.put_comparison(comparison, found)
        return _comparison_json(store, comparison, store.flips(comparison.id, MAX_FLIPS)), 201


@blueprint.get("")
@needs(Role.READ)
def index() -> dict[str, Any]:
    refuse_unknown(request.args, "baseline", "candidate", "limit")
    baseline = "/".join(read_model(request.args.get("baseline"), "baseline"))
    candidate = request.args.get("candidate")
    wanted = None if candidate is None else "/".join(read_model(candidate, "candidate"))
    limit = read_limit(request.args.get("limit"), DEFAULT_LIMIT, MAX_LIMIT)
    store = components().store
    with components().turns.take():
        found = [(one, store.flips(one.id, MAX_FLIPS)) for one in store.comparisons(baseline, wanted, limit)]
        return {"items": [_comparison_json(store, comparison, flips) for comparison, flips in found]}


def _read_version(what: str, value: object) -> str:
    text = read_text(what, value)
    name, _, version = text.rpartition("/")
    if not name or not version:
        raise InvalidRequest(f"{what} must be the <name>/<version> of a model")
    return text


def _read_report(value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except ValueError as error:  # of a number such as 1e999, or of half a surrogate pair
        raise InvalidRequest("report must have only finite numbers and valid Unicode") from error
    if not isinstance(value, dict) or size > MAX_REPORT:
        raise InvalidRequest(f"report must be an object of at most {MAX_REPORT} bytes")
    return text


def _read_flip(flip: object) -> Flip:
    names = ("prediction", "baseline_label", "candidate_label", "candidate_score")
    if not isinstance(flip, dict) or set(flip) != set(names):
        raise InvalidRequest(f"each flip must be an object with {', '.join(names)}")
    id, score = read_id(str(flip["prediction"])), flip["candidate_score"]
    if id is None:
        raise InvalidRequest("prediction must be the ID of a prediction")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise InvalidRequest("candidate_score must be a number from 0 to 1")
    baseline_label, candidate_label = (read_text(name, flip[name]) for name in ("baseline_label", "candidate_label"))
    return Flip(id, baseline_label, candidate_label, float(score))


def _comparison_json(store: Store, comparison: Comparison, flips: Sequence[Flip]) -> dict[str, Any]:
    """The comparison and what the judgments of its flips say now; null if the report is not from `lookbook replay`."""
    try:
        judged = judge_flips(store, comparison, flips).to_json()
    except ValueError:
        judged = None
    return {
        "id": str(comparison.id),
        "created_at": time_json(created_at(comparison.id)),
        "baseline": comparison.baseline,
        "candidate": comparison.candidate,
        "report": json.loads(comparison.report),
        "judged_flips": judged,
    }
