"""One image in the form in which each peer's guide sends it."""

import base64
import json
from pathlib import Path

from urllib3 import encode_multipart_formdata

_JSON = "application/json"


def multipart(image: Path) -> tuple[bytes, str]:
    """The body of a request, and its content type; the same for the functions below."""
    return encode_multipart_formdata({"image": (image.name, image.read_bytes())})


def raw(image: Path) -> tuple[bytes, str]:
    return image.read_bytes(), "application/octet-stream"


def v1(image: Path) -> tuple[bytes, str]:
    """The V1 protocol of KServe, which is TensorFlow Serving's."""
    return json.dumps({"instances": [{"image": {"b64": _base64(image)}}]}).encode(), _JSON


def v2(image: Path) -> tuple[bytes, str]:
    """The V2 protocol, with the image as base64."""
    tensor = {
        "name": "image",
        "shape": [1],
        "datatype": "BYTES",
        "parameters": {"content_type": "base64"},
        "data": [_base64(image)],
    }
    return json.dumps({"inputs": [tensor]}).encode(), _JSON


def _base64(image: Path) -> str:
    return base64.b64encode(image.read_bytes()).decode()
