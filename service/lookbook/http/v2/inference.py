"""The inference endpoint of /v2. Tests: tests/unit/test_v2.py."""

from functools import partial

import numpy as np
from flask import Blueprint, Response, request

from lookbook.errors import InvalidRequest
from lookbook.http.body import read_body
from lookbook.http.components import components
from lookbook.http.roles import Role, needs
from lookbook.http.v2.infer_request import read_infer_request
from lookbook.http.v2.infer_response import infer_response
from lookbook.http.v2.models import find_model
from lookbook.http.v2.tensors import JSON_LENGTH

blueprint = Blueprint("inference", __name__)


@blueprint.post("/models/<name>/infer")
@blueprint.post("/models/<name>/versions/<version>/infer")
@needs(Role.PREDICT)
def infer(name: str, version: str | None = None) -> Response:
    bundle = find_model(name, version)
    _refuse_headers()
    pipeline = components().pipeline
    pipeline.check_store()
    most = components().settings.max_batch
    # A partial, so that the body's memory is free as soon as it is parsed.
    read = partial(read_infer_request, read_body(request), request.headers.get(JSON_LENGTH), bundle.input, most)
    with pipeline.inference_slot():
        infer_request = read()
    del read
    found = pipeline.predict_all(infer_request.images)
    ids = [prediction.id for prediction, _ in found]
    return infer_response(infer_request, bundle, ids, np.stack([scores for _, scores in found]))


def _refuse_headers() -> None:
    """Refuse what clients would rely on, rather than ignore it."""
    if "Idempotency-Key" in request.headers:
        raise InvalidRequest("/v2 does not support Idempotency-Key: remove the header, or use /v1/predictions")
