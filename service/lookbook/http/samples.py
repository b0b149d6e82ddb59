"""/v1/samples: sampled predictions, or all, with their inputs, to run another model over them.

Tests: tests/unit/test_quality_api.py.
"""

import base64
from itertools import islice
from typing import Any
from uuid import UUID

from flask import Blueprint, request

from lookbook.errors import InvalidRequest
from lookbook.http.components import components
from lookbook.http.listing import read_cursor, read_limit, refuse_unknown
from lookbook.http.responses import time_json, truth_json
from lookbook.http.roles import Role, needs
from lookbook.http.window import PARAMETERS, model_json, read_window
from lookbook.prediction import created_at
from lookbook.quality import SettledSample, Window, settled_page, settled_samples
from lookbook.store import Store

DEFAULT_LIMIT, MAX_LIMIT = 20, 100
_MAX_BYTES = 8 * 1024 * 1024  # of inputs; a page ends with the input that exceeds it

blueprint = Blueprint("samples", __name__, url_prefix="/v1/samples")


@blueprint.get("")
@needs(Role.READ)
def index() -> dict[str, Any]:
    """Day by day, the newest first; of each day, the smallest u first. With `all`, the newest prediction first."""
    refuse_unknown(request.args, *PARAMETERS, "all", "inputs", "limit", "cursor")
    window, cursor = read_window(request.args), read_cursor(request.args.get("cursor"))
    limit, inputs = read_limit(request.args.get("limit"), DEFAULT_LIMIT, MAX_LIMIT), _flag("inputs", default=True)
    found, next = (settled_page if _flag("all", default=False) else _sample_page)(
        components().store, window, cursor, limit
    )
    items: list[dict[str, Any]] = []
    size = 0
    for settled in found:
        content, input = _input_json(settled.sample.id) if inputs else (0, None)
        items.append({**_sample_json(window, settled), "input": input})
        size += content
        if size > _MAX_BYTES and len(items) < len(found):
            return {"items": items, "next": items[-1]["id"]}
    return {"items": items, "next": next and str(next)}


def _sample_page(
    store: Store, window: Window, cursor: UUID | None, limit: int
) -> tuple[list[SettledSample], UUID | None]:
    with components().turns.take():
        found = list(islice(settled_samples(store, window, cursor, limit + 1), limit + 1))
    return found[:limit], found[limit - 1].sample.id if len(found) > limit else None


def _flag(name: str, default: bool) -> bool:
    text = request.args.get(name)
    if text not in (None, "true", "false"):
        raise InvalidRequest(f"{name} must be true or false")
    return default if text is None else text == "true"


def _input_json(id: UUID) -> tuple[int, dict[str, str] | None]:
    """The size of the input in bytes, and the input; None if it is not kept."""
    found = components().store.input(id)
    if found is None:
        return 0, None
    return len(found.content), {"kind": found.kind, "content": base64.b64encode(found.content).decode()}


def _sample_json(window: Window, settled: SettledSample) -> dict[str, Any]:
    sample = settled.sample
    return {
        "id": str(sample.id),
        "created_at": time_json(created_at(sample.id)),
        "sampling_rate": sample.rate,
        "inclusion_probability": settled.inclusion,
        "u": sample.u,
        "label": sample.label,
        "score": sample.score,
        "top": [{"label": label, "score": score} for label, score in sample.top],
        "model": model_json(window.model_name, window.model_version),
        "ground_truth": truth_json(settled.truth),
    }
