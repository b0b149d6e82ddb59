"""/api/tasks: predictions in short form, for curl and shell scripts."""

from uuid import UUID

from flask import Blueprint, Response, current_app, jsonify, request

from lookbook.http.components import components
from lookbook.http.listing import next_url, read_query
from lookbook.http.lookup import find_prediction
from lookbook.http.roles import Role, needs
from lookbook.http.uploads import read_key, read_upload
from lookbook.prediction import Prediction

blueprint = Blueprint("tasks", __name__, url_prefix="/api/tasks")

_PARAMETERS = frozenset(("limit", "cursor"))


@blueprint.post("/upload")
@needs(Role.PREDICT)
def upload() -> Response:
    prediction, replayed = components().pipeline.predict(read_upload(request, raw=False), read_key(request))
    response = current_app.response_class(prediction.label, content_type="text/plain; charset=utf-8")
    # Relative to this URL, because a proxy may serve it below a path.
    response.headers["Location"] = str(prediction.id)
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@blueprint.get("")
@needs(Role.READ)
def index() -> Response:
    page = components().store.page(read_query(request.args, _PARAMETERS))
    response = jsonify([_task(item) for item in page.items])
    if page.next:
        response.headers["Link"] = f'<{next_url(request.args, page.next)}>; rel="next"'
    return response


@blueprint.get("/<uuid:id>")
@needs(Role.READ)
def show(id: UUID) -> dict[str, str]:
    return _task(find_prediction(str(id)))


def _task(prediction: Prediction) -> dict[str, str]:
    return {
        "id": str(prediction.id),
        "time": prediction.created_at.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "image_name": prediction.file_name,
        "class_name": prediction.label,
    }
