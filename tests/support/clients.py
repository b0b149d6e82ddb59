"""Public clients of the Open Inference Protocol, unchanged: `python clients.py KIND URL PHOTO...` prints JSON.

Runs in its own environment, .venv-clients, and imports nothing of Lookbook.
"""

import asyncio
import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

MODEL = "lookbook-clothes"


def tensor(kind: Any, photos: Sequence[bytes], binary: bool) -> Any:
    """An input of the client library, filled as its documentation says."""
    sent = photos if binary else [base64.b64encode(photo) for photo in photos]
    made = kind("image", [len(photos)], "BYTES")
    made.set_data_from_numpy(np.array(sent, np.object_), binary_data=binary)
    return made


def triton(url: str, photos: list[bytes], binary: bool) -> dict[str, Any]:
    from tritonclient.http import InferenceServerClient, InferenceServerException, InferInput, InferRequestedOutput

    client = InferenceServerClient(url.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert {"binary_tensor_data", "classification"} <= set(client.get_server_metadata()["extensions"])
    metadata = client.get_model_metadata(MODEL)
    assert client.is_model_ready(MODEL, metadata["versions"][0])
    assert [(entry["name"], entry["datatype"]) for entry in metadata["inputs"]] == [("image", "BYTES")]
    inputs = [tensor(InferInput, photos, binary)]
    best = InferRequestedOutput("scores", binary_data=binary, class_count=3)
    response = client.infer(
        MODEL, inputs, request_id="mine", outputs=[best, InferRequestedOutput("label", binary_data=binary)]
    )
    refusal = None
    try:
        client.infer(MODEL, [tensor(InferInput, [b"no image"], binary)])
    except InferenceServerException as error:
        refusal = [int(error.status()), error.message()]
    return {
        "id": response.get_response()["id"],
        "parameters": response.get_response()["parameters"],
        "label": response.as_numpy("label"),
        "classes": response.as_numpy("scores"),
        "scores": client.infer(MODEL, inputs).as_numpy("scores"),
        "refusal": refusal,
    }


async def kserve(url: str, photos: list[bytes], binary: bool) -> dict[str, Any]:
    from httpx import HTTPStatusError
    from kserve import InferenceRESTClient, InferInput, InferRequest, InferResponse, RESTConfig
    from kserve.protocol.infer_type import RequestedOutput

    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    assert await client.is_server_live(url)
    assert await client.is_server_ready(url)
    assert await client.is_model_ready(url, MODEL)
    inputs = [tensor(InferInput, photos, binary)]

    async def ask(inputs: list[InferInput], **options: Any) -> InferResponse:
        return await client.infer(url, InferRequest(MODEL, inputs, **options), model_name=MODEL)

    best = RequestedOutput("scores", {"classification": 3, "binary_data": binary})
    response = await ask(inputs, request_id="mine", request_outputs=[best, RequestedOutput("label")])
    plain = await ask(inputs, parameters={"binary_data_output": binary})
    refusal = None
    try:
        await ask([tensor(InferInput, [b"no image"], binary)])
    except HTTPStatusError as error:
        refusal = [error.response.status_code, error.response.json()["error"]]
    return {
        "id": response.id,
        "parameters": response.parameters,
        "label": response.outputs[1].as_numpy(),
        "classes": response.outputs[0].as_numpy(),
        "scores": plain.outputs[0].as_numpy(),
        "refusal": refusal,
    }


def plain(value: Any) -> Any:
    """A value that JSON cannot represent, as one that it can."""
    return value.decode() if isinstance(value, bytes) else value.tolist()


kind, url, *paths = sys.argv[1:]
name, form = kind.split("-")
arguments = (url, [Path(path).read_bytes() for path in paths], form == "binary")
found = triton(*arguments) if name == "triton" else asyncio.run(kserve(*arguments))
print(json.dumps(found, default=plain))
