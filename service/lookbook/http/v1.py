"""/v1: predictions as JSON."""

from typing import Any, NoReturn
from uuid import UUID

from flask import Blueprint, Response, current_app, jsonify, request

from lookbook.errors import NotFound
from lookbook.http.listing import read_query, time_based
from lookbook.http.uploads import read_key, read_upload
from lookbook.pipeline import Pipeline
from lookbook.prediction import Prediction
from lookbook.store import Store

blueprint = Blueprint("api", __name__, url_prefix="/v1")

_PARAMETERS = frozenset(("limit", "cursor", "label", "since", "until"))


@blueprint.post("/predictions")
def create() -> tuple[Response, int]:
    pipeline: Pipeline = current_app.extensions["pipeline"]
    prediction, replayed = pipeline.predict(read_upload(request, raw=True), read_key(request))
    response = jsonify(prediction.to_json())
    response.headers["Location"] = f"/v1/predictions/{prediction.id}"
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response, 200 if replayed else 201


@blueprint.get("/predictions")
def index() -> dict[str, Any]:
    page = _store().page(read_query(request.args, _PARAMETERS))
    return {"items": [item.to_json() for item in page.items], "next": page.next and str(page.next)}


@blueprint.get("/predictions/<text>")
def show(text: str) -> dict[str, Any]:
    return find(text).to_json()


@blueprint.delete("/predictions/<text>")
def remove(text: str) -> tuple[str, int]:
    id = time_based(text)
    if id is None or not _store().delete(id):
        _unknown(text)
    return "", 204


@blueprint.get("/predictions/<text>/thumbnail")
def thumbnail(text: str) -> Response:
    id: UUID | None = time_based(text)
    picture = _store().thumbnail(id) if id else None
    if picture is None:
        raise NotFound(f"no thumbnail of {text}")
    response = current_app.response_class(picture, content_type="image/webp")
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@blueprint.get("/model")
def model() -> Any:
    return current_app.extensions["classifier"].bundle.manifest


def find(text: str) -> Prediction:
    """The stored prediction with that id; raises NotFound."""
    id = time_based(text)
    prediction = _store().get(id) if id else None
    return prediction or _unknown(text)


def _unknown(text: str) -> NoReturn:
    raise NotFound(f"no prediction {text}")


def _store() -> Store:
    store: Store = current_app.extensions["store"]
    return store
