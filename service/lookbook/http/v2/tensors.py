"""Tensors of the Open Inference Protocol: values in JSON, or bytes after it.

Tests: tests/unit/test_infer_request.py.
"""

import base64
import math
from array import array
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookbook.errors import InvalidRequest

# The header with the length of the JSON in bytes, if binary data follows it.
JSON_LENGTH = "Inference-Header-Content-Length"
DTYPES: dict[str, np.dtype[Any]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}


def strings(data: list[Any] | memoryview, count: int) -> list[bytes] | list[memoryview]:
    """The bytes of `count` strings, which are base64 if they come in a list; raises InvalidRequest."""
    if isinstance(data, memoryview):
        return _split(data, count)
    flat = _flat(data)
    if len(flat) != count or not all(isinstance(text, str) for text in flat):
        raise InvalidRequest(f"data must have as many strings as the shape says: {count}")
    try:
        return [base64.b64decode(text, validate=True) for text in flat]
    except ValueError as error:
        raise InvalidRequest(f"data must be images in base64, without line breaks: {error}") from error


def numbers(data: list[Any] | memoryview, dtype: np.dtype[Any], shape: Sequence[int]) -> NDArray[Any]:
    """An array of that type and shape, all values finite; raises InvalidRequest."""
    count = math.prod(shape)
    if isinstance(data, memoryview):
        if len(data) != count * dtype.itemsize:
            raise InvalidRequest(f"data has {len(data)} bytes; the shape needs {count * dtype.itemsize}")
        values = np.frombuffer(data, dtype)
    else:
        flat = _flat(data)
        if len(flat) != count:
            raise InvalidRequest(f"data has {len(flat)} numbers; the shape needs {count}")
        values = _converted(flat, dtype)
    if not np.isfinite(values).all():
        raise InvalidRequest("FP32 values must be finite")
    return values.reshape(shape)


def datatype(values: NDArray[Any]) -> str:
    """FP32 for float32, BYTES for strings."""
    return "FP32" if values.dtype.kind == "f" else "BYTES"


def binary(values: NDArray[Any]) -> bytes:
    """Little-endian; each string is preceded by its length in four bytes."""
    if values.dtype.kind == "f":
        return values.astype("<f4").tobytes()
    texts = [text.encode() for text in values.flat]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _split(data: memoryview, count: int) -> list[memoryview]:
    found: list[memoryview] = []
    while len(data) >= 4 and len(found) < count:
        end = 4 + int.from_bytes(data[:4], "little")
        if end > len(data):
            break
        found.append(data[4:end])
        data = data[end:]
    if len(found) < count or data:
        raise InvalidRequest(f"the binary data must hold as many length-prefixed strings as the shape says, {count}")
    return found


def _converted(flat: list[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        given = np.frombuffer(array("d", flat))
    except (TypeError, OverflowError) as error:
        raise InvalidRequest(f"data must be numbers: {error}") from error
    with np.errstate(over="ignore", invalid="ignore"):
        values = given.astype(dtype)
    if dtype.kind == "u" and not np.array_equal(values, given):
        raise InvalidRequest("UINT8 values must be whole numbers from 0 to 255")
    return values


def _flat(data: list[Any]) -> list[Any]:
    """The innermost values of lists in lists."""
    while data and isinstance(data[0], list):
        if not all(isinstance(inner, list) for inner in data):
            raise InvalidRequest("data must be a flat list, or lists nested as the shape says")
        data = list(chain.from_iterable(data))
    return data
