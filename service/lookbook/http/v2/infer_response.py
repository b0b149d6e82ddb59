"""The response to an inference request. Tests: tests/unit/test_v2.py."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
from flask import Response, current_app
from numpy.typing import NDArray

from lookbook.http.v2.infer_request import LABEL, SCORES, InferRequest, Output
from lookbook.http.v2.tensors import JSON_LENGTH, binary, datatype
from lookbook.model.bundle import Bundle


def infer_response(request: InferRequest, bundle: Bundle, ids: Sequence[UUID], scores: NDArray[np.float32]) -> Response:
    """The requested outputs, from the ids of the predictions and their scores of shape (images, labels)."""
    head = {
        "model_name": bundle.name,
        "model_version": bundle.version,
        **({"id": request.id} if request.id else {}),
        "parameters": {"prediction_ids": ",".join(map(str, ids))},
    }
    return _encode(head, [(output, _values(output, bundle, scores)) for output in request.outputs])


def _values(output: Output, bundle: Bundle, scores: NDArray[np.float32]) -> NDArray[Any]:
    """The output's values; strings as objects."""
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


def _encode(head: dict[str, Any], tensors: Sequence[tuple[Output, NDArray[Any]]]) -> Response:
    """JSON, followed by the values of the binary outputs if there are any."""
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
    response.headers[JSON_LENGTH] = str(len(text))
    return response
