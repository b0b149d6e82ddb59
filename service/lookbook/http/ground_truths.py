"""/v1/predictions/<id>/ground-truths: what people say an image shows."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, request

from lookbook.errors import Forbidden, InvalidRequest, NotFound
from lookbook.http.annotators import read_annotator
from lookbook.http.authentication import has_role, token_name
from lookbook.http.components import components
from lookbook.http.json_body import read_json, read_text
from lookbook.http.lookup import find_prediction, read_id
from lookbook.http.responses import label_json, time_json, truth_json
from lookbook.http.roles import Role, needs
from lookbook.judgment import Judgment, settle
from lookbook.prediction import created_at, id_maker

blueprint = Blueprint("ground_truths", __name__, url_prefix="/v1/predictions/<text>/ground-truths")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MEMBERS = ("label", "verdict", "annotator")


@blueprint.post("")
@needs(Role.REVIEW)
def create(text: str) -> tuple[dict[str, Any], int]:
    """Stores a judgment, unless the annotator's current one is the same."""
    body = read_json(request, _MEMBERS)
    label, annotator = _read_label(body), read_annotator(body)
    prediction, store = find_prediction(text), components().store
    known = store.judgments(prediction.id)
    current = next((one for one in _standing(known) if one.annotator == annotator), None)
    if current and current.label == label:
        return _judgment_json(current, None), 200
    judgment = Judgment(_next_id(known), prediction.id, annotator, label)
    store.judge(prediction, judgment)
    return _judgment_json(judgment, None), 201


@blueprint.get("")
@needs(Role.READ)
def index(text: str) -> dict[str, Any]:
    """All judgments, including those that were withdrawn."""
    known = components().store.judgments(find_prediction(text).id)
    withdrawals = {one.withdraws: one.id for one in known if one.withdraws}
    items = [_judgment_json(one, withdrawals.get(one.id)) for one in known if one.withdraws is None]
    return {"items": items, "ground_truth": truth_json(settle(known)), "annotator": token_name() or None}


@blueprint.delete("/<judgment>")
@needs(Role.REVIEW)
def withdraw(text: str, judgment: str) -> tuple[str, int]:
    prediction, store = find_prediction(text), components().store
    known, id = store.judgments(prediction.id), read_id(judgment)
    found = next((one for one in known if one.id == id and one.withdraws is None), None)
    if found is None:
        raise NotFound(f"prediction {text} has no judgment {judgment}")
    if token_name() not in ("", found.annotator) and not has_role(Role.ADMIN):
        raise Forbidden("this judgment is another annotator's: only a token with the role 'admin' may withdraw it")
    if found in _standing(known):
        store.judge(prediction, Judgment(_next_id(known), prediction.id, found.annotator, None, found.id))
    return "", 204


def _read_label(body: dict[str, Any]) -> str | None:
    if ("label" in body) == ("verdict" in body):
        raise InvalidRequest('send either a label or "verdict": "unclear"')
    if "label" in body:
        return read_text("label", body["label"])
    if body["verdict"] != "unclear":
        raise InvalidRequest('verdict must be "unclear"; to say what the image shows, send a label')
    return None


def _standing(known: Iterable[Judgment]) -> list[Judgment]:
    """The judgments that are not withdrawn, in their order."""
    known = list(known)
    withdrawn = {one.withdraws for one in known}
    return [one for one in known if one.withdraws is None and one.id not in withdrawn]


def _next_id(known: tuple[Judgment, ...]) -> UUID:
    """An id after those of the known judgments, even if another server's clock is ahead."""
    latest = _nanoseconds(created_at(known[0].id)) if known else 0
    return id_maker(clock=lambda: max(time.time_ns(), latest + 1_000))()


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


def _judgment_json(judgment: Judgment, withdrawal: UUID | None) -> dict[str, Any]:
    return {
        "id": str(judgment.id),
        "created_at": time_json(created_at(judgment.id)),
        "annotator": judgment.annotator,
        **label_json(judgment.label),
        "withdrawn_at": withdrawal and time_json(created_at(withdrawal)),
    }
