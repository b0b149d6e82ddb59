"""What the server supports, and the tensors of its model. Tests: tests/unit/test_v2.py."""

from typing import Any

from flask import Blueprint

from lookbook import __version__
from lookbook.http.roles import ALL_ROLES, needs
from lookbook.http.v2.infer_request import INPUT, LABEL, SCORES
from lookbook.http.v2.models import find_model

blueprint = Blueprint("metadata", __name__)


@blueprint.get("")
@needs(*ALL_ROLES)
def server() -> dict[str, Any]:
    return {"name": "lookbook", "version": __version__, "extensions": ["binary_tensor_data", "classification"]}


@blueprint.get("/models/<name>")
@blueprint.get("/models/<name>/versions/<version>")
@needs(*ALL_ROLES)
def model(name: str, version: str | None = None) -> dict[str, Any]:
    bundle = find_model(name, version)
    sides = [-1, bundle.input.height, bundle.input.width, bundle.input.channels]
    image = {
        "name": INPUT,
        "datatype": "BYTES",
        "shape": [-1],
        "parameters": {
            "content_type": "base64",
            "UINT8": f"{sides}: pixels from 0 to 255, {bundle.input.color}",
            "FP32": f"{sides}: normalized pixels, (pixel / 255 - mean) / std",
            "mean": str(list(bundle.input.mean)),
            "std": str(list(bundle.input.std)),
        },
    }
    scores = {"name": SCORES, "datatype": "FP32", "shape": [-1, len(bundle.labels)]}
    label = {"name": LABEL, "datatype": "BYTES", "shape": [-1]}
    return {
        "name": bundle.name,
        "versions": [bundle.version],
        "platform": "litert_tflite",
        "inputs": [image],
        "outputs": [scores, label],
    }
