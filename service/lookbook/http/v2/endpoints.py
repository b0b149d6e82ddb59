"""/v2: the Open Inference Protocol, as KServe, Triton and MLServer speak it."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from flask import Blueprint, Response, current_app, request
from numpy.typing import NDArray

from lookbook import __version__
from lookbook.errors import InvalidRequest, NotFound, UnsupportedMediaType
from lookbook.http.uploads import read_body
from lookbook.http.v2.call import INPUT, LABEL, SCORES, Output, read_call
from lookbook.http.v2.tensors import binary, datatype
from lookbook.model.bundle import Bundle
from lookbook.pipeline import Pipeline
from lookbook.settings import Settings

HEAD_LENGTH = "Inference-Header-Content-Length"

blueprint = Blueprint("v2", __name__, url_prefix="/v2")
health = Blueprint("v2_health", __name__, url_prefix="/v2")


def is_ours(path: str) -> bool:
    """Whether errors at this path have the protocol's form."""
    return path == "/v2" or path.startswith("/v2/")


@health.get("/health/live")
def live() -> dict[str, bool]:
    return {"live": True}


@health.get("/health/ready")
def ready() -> tuple[dict[str, bool], int]:
    reached: bool = current_app.extensions["store"].status().reached
    return {"ready": reached}, 200 if reached else 503


@health.get("/models/<name>/ready")
@health.get("/models/<name>/versions/<version>/ready")
def model_ready(name: str, version: str | None = None) -> tuple[dict[str, Any], int]:
    _bundle(name, version)
    body, status = ready()
    return {"name": name, **body}, status


@blueprint.get("")
def server() -> dict[str, Any]:
    return {"name": "lookbook", "version": __version__, "extensions": ["binary_tensor_data", "classification"]}


@blueprint.get("/models/<name>")
@blueprint.get("/models/<name>/versions/<version>")
def model(name: str, version: str | None = None) -> dict[str, Any]:
    bundle = _bundle(name, version)
    sides = [-1, bundle.input.height, bundle.input.width, bundle.input.channels]
    return {
        "name": bundle.name,
        "versions": [bundle.version],
        "platform": "litert_tflite",
        "inputs": [
            {
                "name": INPUT,
                "datatype": "BYTES",
                "shape": [-1],
                "parameters": {
                    "content_type": "base64",
                    "UINT8": f"{sides}: pixels from 0 to 255, {bundle.input.color}",
                    "FP32": f"{sides}: the model's own input, (pixel / 255 - mean) / std",
                    "mean": str(list(bundle.input.mean)),
                    "std": str(list(bundle.input.std)),
                },
            }
        ],
        "outputs": [
            {"name": SCORES, "datatype": "FP32", "shape": [-1, len(bundle.labels)]},
            {"name": LABEL, "datatype": "BYTES", "shape": [-1]},
        ],
    }


@blueprint.post("/models/<name>/infer")
@blueprint.post("/models/<name>/versions/<version>/infer")
def infer(name: str, version: str | None = None) -> Response:
    bundle = _bundle(name, version)
    _refuse_headers()
    pipeline: Pipeline = current_app.extensions["pipeline"]
    settings: Settings = current_app.extensions["settings"]
    pipeline.check_store()
    # The body is let go of as soon as it is parsed.
    read = partial(read_call, read_body(request), request.headers.get(HEAD_LENGTH), bundle.input, settings.max_batch)
    with pipeline.inference_slot():
        call = read()
    del read
    found = pipeline.predict_all(call.pictures)
    head = {
        "model_name": bundle.name,
        "model_version": bundle.version,
        **({"id": call.id} if call.id else {}),
        "parameters": {"prediction_ids": ",".join(str(prediction.id) for prediction, _ in found)},
    }
    scores = np.stack([scores for _, scores in found])
    tensors = [(output, _values(output, bundle, scores)) for output in call.outputs]
    return _written(head, tensors)


def _values(output: Output, bundle: Bundle, scores: NDArray[np.float32]) -> NDArray[Any]:
    """What the output holds, for scores of shape (pictures, labels); strings as objects."""
    if output.name == SCORES and output.classes is None:
        return scores
    best = np.argsort(scores, axis=1)[:, ::-1]
    if output.name == LABEL:
        return np.array([bundle.labels[first] for first, *_ in best], object)
    shown = [
        [f"{row[index]:f}:{index}:{bundle.labels[index]}" for index in places]
        for row, places in zip(scores, best[:, : output.classes], strict=True)
    ]
    return np.array(shown, object)


def _written(head: dict[str, Any], tensors: Sequence[tuple[Output, NDArray[Any]]]) -> Response:
    entries: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for output, values in tensors:
        entry = {"name": output.name, "datatype": datatype(values), "shape": list(values.shape)}
        if output.binary:
            blobs.append(binary(values))
            entries.append({**entry, "parameters": {"binary_data_size": len(blobs[-1])}})
        else:
            entries.append({**entry, "data": values.ravel().tolist()})
    text = json.dumps({**head, "outputs": entries}).encode()
    if not blobs:
        return current_app.response_class(text, content_type="application/json")
    response = current_app.response_class(b"".join((text, *blobs)), content_type="application/octet-stream")
    response.headers[HEAD_LENGTH] = str(len(text))
    return response


def _refuse_headers() -> None:
    """Rather than to overlook what a client relies on."""
    if "Idempotency-Key" in request.headers:
        raise InvalidRequest("no Idempotency-Key here; /v1/predictions takes one")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType("a compressed body is not taken")


def _bundle(name: str, version: str | None) -> Bundle:
    bundle: Bundle = current_app.extensions["classifier"].bundle
    if (name, version or bundle.version) != (bundle.name, bundle.version):
        wanted = f"{name} {version}" if version else name
        raise NotFound(f"no model {wanted} here; there is {bundle.name} {bundle.version}")
    return bundle
