"""/v1/reviews: which predictions to judge next. Tests: tests/unit/test_quality_api.py."""

import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, request

from lookbook.errors import InvalidRequest, NotFound
from lookbook.http.authentication import token_name
from lookbook.http.comparisons import MAX_FLIPS
from lookbook.http.components import components
from lookbook.http.cross_site import refuse_other_sites
from lookbook.http.json_body import read_text
from lookbook.http.listing import read_limit, refuse_unknown
from lookbook.http.lookup import read_id
from lookbook.http.responses import image_type, time_json
from lookbook.http.roles import Role, needs
from lookbook.http.window import PARAMETERS, read_window
from lookbook.job import job_tag
from lookbook.prediction import Prediction, created_at
from lookbook.quality import Window, load_frames, load_truths, sampled_models
from lookbook.store import Flip
from lookbook.truth.reviews import Reviews

DEFAULT_LIMIT, MAX_LIMIT = 5, 20
CLAIM_SECONDS = 120
_MAX_CLAIMED = 5 * MAX_LIMIT  # predictions claimed by others that are passed over
_WRITING = timedelta(minutes=10)  # by then, a prediction is stored as its sample is, or never

blueprint = Blueprint("reviews", __name__, url_prefix="/v1/reviews")


@blueprint.get("")
@needs(Role.REVIEW)
def index() -> dict[str, Any]:
    """Claims the predictions for two minutes, so that other annotators get other ones."""
    refuse_other_sites()
    refuse_unknown(request.args, *PARAMETERS, "limit", "order", "compare", "annotator")
    limit = read_limit(request.args.get("limit"), DEFAULT_LIMIT, MAX_LIMIT)
    order, compare = _order(request.args.get("order")), request.args.get("compare")
    owner = _owner(request.args.get("annotator"))
    window = read_window(request.args)
    if compare is not None:
        return _flips(compare, owner, limit)
    with components().turns.take():
        reviews = _reviews(window)
        ids = (reviews.by_score if order == "score" else reviews.by_priority)(limit + _MAX_CLAIMED)
    return {
        "items": [_item_json(*claimed) for claimed in _claim(ids, owner, limit, window)],
        "remaining": reviews.remaining,
        "waiting": reviews.waiting,
        "blocked_by": reviews.blocked_by and str(reviews.blocked_by),
        "annotator": token_name() or None,
    }


def _order(text: str | None) -> str:
    if text not in (None, "priority", "score"):
        raise InvalidRequest("order must be priority or score")
    return text or "priority"


def _owner(given: str | None) -> str:
    """Who claims: the token's name with the given one, so that nobody gets another person's claims, or one of the two.

    Without a name, this request alone claims.
    """
    names = [token_name(), "" if given is None else read_text("annotator", given)]
    # No name contains a line break.
    return "\n".join(filter(None, names)) or secrets.token_hex(8)


def _reviews(window: Window) -> Reviews:
    store = components().store
    days = sampled_models(store, window.since, window.until).get(window.model, [])
    frames = load_frames(store, window, days)
    return Reviews(frames, load_truths(store, window, frames))


def _flips(text: str, owner: str, limit: int) -> dict[str, Any]:
    """The flips of a comparison, smallest u first: judged in this order, they say which model is better."""
    id, store = read_id(text), components().store
    flips = store.flips(id, MAX_FLIPS) if id else []
    if not flips:
        raise NotFound(f"comparison {text} not found, or its models give all predictions the same labels")
    with components().turns.take():
        truths = store.truths([flip.prediction for flip in flips])
    waiting = {flip.prediction: flip for flip in flips if flip.prediction not in truths}
    return {
        "items": [
            {**_item_json(prediction, until), "candidate": _candidate_json(waiting[prediction.id])}
            for prediction, until in _claim(waiting, owner, limit, None)
        ],
        "remaining": len(waiting),
        "waiting": 0,
        "blocked_by": None,
        "annotator": token_name() or None,
    }


def _candidate_json(flip: Flip) -> dict[str, Any]:
    return {"label": flip.candidate_label, "score": flip.candidate_score}


def _claim(ids: Iterable[UUID], owner: str, limit: int, window: Window | None) -> Iterator[tuple[Prediction, datetime]]:
    """The first predictions that nobody else has claimed, and until when they are now the owner's.

    With a window, the samples that have no prediction are deleted: nobody can judge them, and their day would wait.
    """
    store, count = components().store, 0
    for id in ids:
        if count == limit:
            return
        until = datetime.now(UTC) + timedelta(seconds=CLAIM_SECONDS)
        if not store.claim_review(id, owner, CLAIM_SECONDS):
            continue
        if prediction := store.get(id):
            count += 1
            yield prediction, until
        elif window and created_at(id) < datetime.now(UTC) - _WRITING and job_tag(id) is None:
            store.forget(id, *window.model)


def _item_json(prediction: Prediction, claimed_until: datetime) -> dict[str, Any]:
    found = components().store.input(prediction.id)
    return {
        **prediction.to_json(),
        "image": found is not None and image_type(found) is not None,
        "claimed_until": time_json(claimed_until),
    }
