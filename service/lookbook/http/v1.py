"""/v1: predictions as JSON."""

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from lookbook.errors import NotFound
from lookbook.http.components import components
from lookbook.http.listing import read_query
from lookbook.http.lookup import find_prediction, read_id, unknown_prediction
from lookbook.http.responses import image_type, prediction_json
from lookbook.http.roles import ALL_ROLES, Role, needs
from lookbook.http.uploads import read_key, read_upload
from lookbook.judgment import settle

blueprint = Blueprint("v1", __name__, url_prefix="/v1")

_PARAMETERS = frozenset(("limit", "cursor", "label", "since", "until", "ground_truth"))


@blueprint.post("/predictions")
@needs(Role.PREDICT)
def create() -> tuple[Response, int]:
    prediction, replayed = components().pipeline.predict(read_upload(request, raw=True), read_key(request))
    truth = settle(components().store.judgments(prediction.id)) if replayed else None
    response = jsonify(prediction_json(prediction, truth))
    # Relative to this URL, because a proxy may serve it below a path.
    response.headers["Location"] = f"predictions/{prediction.id}"
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response, 200 if replayed else 201


@blueprint.get("/predictions")
@needs(Role.READ)
def index() -> dict[str, Any]:
    page = components().store.page(read_query(request.args, _PARAMETERS))
    return {
        "items": [prediction_json(item, page.truths.get(item.id)) for item in page.items],
        "next": page.next and str(page.next),
    }


@blueprint.get("/predictions/<text>")
@needs(Role.READ)
def show(text: str) -> dict[str, Any]:
    prediction = find_prediction(text)
    return prediction_json(prediction, settle(components().store.judgments(prediction.id)))


@blueprint.delete("/predictions/<text>")
@needs(Role.ADMIN)
def remove(text: str) -> tuple[str, int]:
    id = read_id(text)
    if id is None or not components().store.delete(id):
        raise unknown_prediction(text)
    return "", 204


@blueprint.get("/predictions/<text>/thumbnail")
@needs(Role.READ)
def thumbnail(text: str) -> Response:
    id = read_id(text)
    image = components().store.thumbnail(id) if id else None
    if image is None:
        raise NotFound(f"prediction {text} has no thumbnail, or does not exist")
    response = current_app.response_class(image, content_type="image/webp")
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@blueprint.get("/predictions/<text>/image")
@needs(Role.READ)
def image(text: str) -> Response:
    """The image as it was sent or, without loss, as the model saw it."""
    id = read_id(text)
    found = components().store.input(id) if id else None
    kind = image_type(found) if found else None
    if found is None or kind is None:
        raise NotFound(f"prediction {text} not found, or the server keeps no image of it")
    response = current_app.response_class(found.content, content_type=kind)
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@blueprint.get("/model")
@needs(*ALL_ROLES)
def model() -> Any:
    return components().classifier.bundle.manifest
