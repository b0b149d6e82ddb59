"""An inference request, parsed. Source: the Open Inference Protocol's inference_rest.md and Triton's extensions.

Tests: tests/unit/test_infer_request.py.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from lookbook.errors import InvalidRequest
from lookbook.http.v2.tensors import DTYPES, JSON_LENGTH, numbers, strings
from lookbook.model.bundle import InputSpec
from lookbook.model.preprocessing import ImageData

INPUT = "image"
SCORES, LABEL = "scores", "label"

_MAX_ID = 1024
# Lists, objects, and strings take up to fifty times the memory of their text; numbers and characters do not.
_MAX_MARKS = 200_000
_KINDS = {dict: "an object", list: "a list", str: "a string", int: "a whole number", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Output:
    """A requested tensor; `classes` is how many of the best labels to return as strings, None for the plain tensor."""

    name: str
    binary: bool
    classes: int | None


@dataclass(frozen=True, slots=True)
class InferRequest:
    """`id` is the client's, which the response repeats; None if it sent none."""

    id: str | None
    images: Sequence[ImageData]
    outputs: tuple[Output, ...]


def read_infer_request(body: bytes, json_length: str | None, spec: InputSpec, most: int) -> InferRequest:
    """Parse a request for at most `most` images; raises InvalidRequest.

    `json_length` is the length of the JSON in bytes if binary data follows it.
    """
    head, rest = _split(body, json_length)
    request = _checked(_parse(head, most * spec.height * spec.width * spec.channels), dict, "the request")
    id = _get(request, "id", str, "")
    if len(id) > _MAX_ID:
        raise InvalidRequest(f"id is longer than {_MAX_ID} characters")
    inputs = _get(request, "inputs", list)
    if len(inputs) != 1:
        raise InvalidRequest(f"the request has {len(inputs)} inputs; send one, named '{INPUT}'")
    images = _images(_checked(inputs[0], dict, "an input"), rest, spec, most)
    return InferRequest(id or None, images, _outputs(request))


def _split(body: bytes, length: str | None) -> tuple[bytes, memoryview]:
    if length is None:
        return body, memoryview(b"")
    if not (length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= len(body)):
        raise InvalidRequest(f"{JSON_LENGTH} must be a whole number up to the body's length, {len(body)}")
    return body[: int(length)], memoryview(body)[int(length) :]


def _parse(head: bytes, most_numbers: int) -> Any:
    if head.count(b",") > most_numbers + _MAX_MARKS:
        raise InvalidRequest(f"the JSON has more numbers than the largest batch needs, {most_numbers}")
    if sum(head.count(mark) for mark in (b"[", b"{", b'"')) > _MAX_MARKS:
        raise InvalidRequest("the JSON has too many lists, objects, or strings; send one flat list or binary data")
    try:
        return json.loads(head, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request is not valid JSON: {error}") from error


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _checked(value: Any, kind: type, what: str) -> Any:
    # Not isinstance(), because bool is a subclass of int.
    if type(value) is not kind:
        raise InvalidRequest(f"{what} must be {_KINDS[kind]}")
    return value


def _get(entry: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    """The named value; if it is missing or null, the default. Raises InvalidRequest if there is no default either."""
    value = entry.get(name)
    return default if value is None and default is not None else _checked(value, kind, name)


def _outputs(request: Mapping[str, Any]) -> tuple[Output, ...]:
    binary = _get(_get(request, "parameters", dict, {}), "binary_data_output", bool, False)
    everything = [{"name": SCORES}, {"name": LABEL}]
    outputs = tuple(_output(entry, binary) for entry in _get(request, "outputs", list, []) or everything)
    names = [output.name for output in outputs]
    for name in (SCORES, LABEL):
        if names.count(name) > 1:
            raise InvalidRequest(f"the output '{name}' is requested more than once")
    return outputs


def _output(entry: Any, binary: bool) -> Output:
    name = _get(_checked(entry, dict, "an output"), "name", str)
    if name not in (SCORES, LABEL):
        raise InvalidRequest(f"unknown output {name[:100]!r}; the outputs are '{SCORES}' and '{LABEL}'")
    parameters = _get(entry, "parameters", dict, {})
    classes = _get(parameters, "classification", int, 0)
    if classes < 0:
        raise InvalidRequest("classification must be the number of labels to return")
    if classes and name != SCORES:
        raise InvalidRequest(f"classification is allowed only for the output '{SCORES}'")
    return Output(name, _get(parameters, "binary_data", bool, binary), classes or None)


def _images(tensor: Mapping[str, Any], rest: memoryview, spec: InputSpec, most: int) -> Sequence[ImageData]:
    name, datatype = _get(tensor, "name", str), _get(tensor, "datatype", str)
    if name != INPUT:
        raise InvalidRequest(f"unknown input {name[:100]!r}; send one named '{INPUT}'")
    if datatype != "BYTES" and datatype not in DTYPES:
        raise InvalidRequest(f"datatype must be BYTES, UINT8, or FP32, not {datatype[:100]!r}")
    shape = [_checked(side, int, "each dimension of the shape") for side in _get(tensor, "shape", list)]
    sides = [spec.height, spec.width, spec.channels]
    if shape[1:] not in ([[], [1]] if datatype == "BYTES" else [sides]):
        wanted = "[n]" if datatype == "BYTES" else f"[n, {str(sides)[1:]}"
        raise InvalidRequest(f"the shape of {datatype} must be {wanted}, not {str(shape)[:100]}")
    if not shape or not 1 <= shape[0] <= most:
        raise InvalidRequest(f"the shape must begin with the number of images, from 1 to {most}")
    data = _data(tensor, rest)
    return strings(data, shape[0]) if datatype == "BYTES" else list(numbers(data, DTYPES[datatype], shape))


def _data(tensor: Mapping[str, Any], rest: memoryview) -> list[Any] | memoryview:
    """The tensor's values: from the JSON, or the bytes after it."""
    size = _get(_get(tensor, "parameters", dict, {}), "binary_data_size", int, -1)
    if size == -1 and not rest:
        data: list[Any] = _get(tensor, "data", list)
        return data
    if size != len(rest) or "data" in tensor:
        raise InvalidRequest(
            f"give the input either data, or a binary_data_size of {len(rest)}, the number of bytes after the JSON"
        )
    return rest
