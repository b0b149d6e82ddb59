"""Requests of the Open Inference Protocol, for the tests of /v2."""

import base64
import json
import struct
from typing import Any

from flask.testing import FlaskClient
from numpy.typing import NDArray
from werkzeug.test import TestResponse

from tests.support.places import BAG

MODEL = "/v2/models/fashion-mnist-mlp"
JSON_LENGTH = "Inference-Header-Content-Length"


def tensor(*images: bytes, **changes: Any) -> dict[str, Any]:
    """An input of images in base64, the bag if none is given."""
    data = [base64.b64encode(image).decode() for image in images or (BAG.read_bytes(),)]
    return {"name": "image", "datatype": "BYTES", "shape": [len(data)], "data": data, **changes}


def pixels(values: NDArray[Any], datatype: str, nested: bool = False) -> dict[str, Any]:
    """An input of numbers, in one list or in nested ones."""
    data = values.tolist() if nested else values.ravel().tolist()
    return {"name": "image", "datatype": datatype, "shape": list(values.shape), "data": data}


def infer(client: FlaskClient, *inputs: dict[str, Any], **members: Any) -> TestResponse:
    return client.post(f"{MODEL}/infer", json={"inputs": inputs or [tensor()], **members})


def infer_binary(client: FlaskClient, blob: bytes, length: int | str | None = None, **changes: Any) -> TestResponse:
    """Send the input's data after the JSON; `length` is what the request says of the JSON's length."""
    entry = tensor(**{"shape": [1], "parameters": {"binary_data_size": len(blob)}, **changes})
    del entry["data"]
    head = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
    headers = {JSON_LENGTH: str(len(head) if length is None else length)}
    return client.post(f"{MODEL}/infer", data=head + blob, headers=headers)


def framed(*values: bytes) -> bytes:
    """Strings as binary data: each preceded by its length."""
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def outputs(response: TestResponse) -> dict[str, Any]:
    """The outputs by name."""
    assert response.status_code == 200, response.text
    return {entry["name"]: entry for entry in response.get_json()["outputs"]}


def split_binary(response: TestResponse) -> tuple[dict[str, Any], bytes]:
    """The JSON of a response, and the bytes after it."""
    length = int(response.headers[JSON_LENGTH])
    head: dict[str, Any] = json.loads(response.data[:length])
    return head, response.data[length:]


def check_refused(response: TestResponse, status: int, message: str) -> None:
    """The response is an error in the format of the protocol."""
    assert response.status_code == status, response.text
    assert list(response.get_json()) == ["error"]
    assert message in response.get_json()["error"]
