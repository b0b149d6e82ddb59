"""What a request of the Open Inference Protocol asks for. Source: its inference_rest.md and Triton's extensions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from lookbook.errors import InvalidRequest
from lookbook.http.v2.tensors import DTYPES, numbers, strings
from lookbook.model.bundle import InputSpec
from lookbook.model.preprocessing import ImageData

INPUT = "image"
SCORES, LABEL = "scores", "label"

_MAX_ID = 1024
# Lists, objects and strings take up to fifty times the memory of their text; numbers, and what a string holds, do not.
_MAX_MARKS = 200_000
_KINDS = {dict: "an object", list: "a list", str: "a string", int: "a whole number", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Output:
    """A tensor that is asked for: `classes` is how many of the best, as strings; None: the plain tensor."""

    name: str
    binary: bool
    classes: int | None


@dataclass(frozen=True, slots=True)
class Call:
    """`id` is the client's own, echoed."""

    id: str | None
    pictures: Sequence[ImageData]
    outputs: tuple[Output, ...]


def read_call(body: bytes, head_length: str | None, spec: InputSpec, most: int) -> Call:
    """Raises InvalidRequest; `head_length` is how long the JSON is where binary data follows it."""
    head, rest = _split(body, head_length)
    request = _checked(_parse(head, most * spec.height * spec.width * spec.channels), dict, "the request")
    id = _get(request, "id", str, "")
    if len(id) > _MAX_ID:
        raise InvalidRequest(f"id is longer than {_MAX_ID} characters")
    inputs = _get(request, "inputs", list)
    if len(inputs) != 1:
        raise InvalidRequest(f"{len(inputs)} inputs; send one, named '{INPUT}'")
    return Call(id or None, _pictures(_checked(inputs[0], dict, "an input"), rest, spec, most), _outputs(request))


def _split(body: bytes, length: str | None) -> tuple[bytes, memoryview]:
    if length is None:
        return body, memoryview(b"")
    if not (length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= len(body)):
        raise InvalidRequest(f"Inference-Header-Content-Length must be a number up to the body's {len(body)} bytes")
    return body[: int(length)], memoryview(body)[int(length) :]


def _parse(head: bytes, most_numbers: int) -> Any:
    if head.count(b",") > most_numbers + _MAX_MARKS:
        raise InvalidRequest(f"the JSON has more numbers than a batch may have, {most_numbers}")
    if sum(head.count(mark) for mark in (b"[", b"{", b'"')) > _MAX_MARKS:
        raise InvalidRequest("the JSON has too many parts; send numbers as one flat list or as binary data")
    try:
        return json.loads(head, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request is not JSON: {error}") from error


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _checked(value: Any, kind: type, what: str) -> Any:
    # Not isinstance(), to which true and false are whole numbers.
    if type(value) is not kind:
        raise InvalidRequest(f"{what} must be {_KINDS[kind]}")
    return value


def _get(entry: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    """The named value; one that is missing or null is the default or, without one, refused."""
    value = entry.get(name)
    return default if value is None and default is not None else _checked(value, kind, name)


def _outputs(request: Mapping[str, Any]) -> tuple[Output, ...]:
    binary = _get(_get(request, "parameters", dict, {}), "binary_data_output", bool, False)
    everything = [{"name": SCORES}, {"name": LABEL}]
    outputs = tuple(_output(entry, binary) for entry in _get(request, "outputs", list, []) or everything)
    if len({output.name for output in outputs}) < len(outputs):
        raise InvalidRequest("an output is asked for twice")
    return outputs


def _output(entry: Any, binary: bool) -> Output:
    name = _get(_checked(entry, dict, "an output"), "name", str)
    if name not in (SCORES, LABEL):
        raise InvalidRequest(f"no output named {name[:100]!r}; there are '{SCORES}' and '{LABEL}'")
    parameters = _get(entry, "parameters", dict, {})
    classes = _get(parameters, "classification", int, 0)
    if classes < 0 or (classes and name != SCORES):
        raise InvalidRequest(f"classification must be a number of labels, on the output '{SCORES}'")
    return Output(name, _get(parameters, "binary_data", bool, binary), classes or None)


def _pictures(tensor: Mapping[str, Any], rest: memoryview, spec: InputSpec, most: int) -> Sequence[ImageData]:
    name, datatype = _get(tensor, "name", str), _get(tensor, "datatype", str)
    if name != INPUT:
        raise InvalidRequest(f"no input named {name[:100]!r}; send one named '{INPUT}'")
    if datatype != "BYTES" and datatype not in DTYPES:
        raise InvalidRequest(f"datatype must be BYTES, UINT8 or FP32, not {datatype[:100]!r}")
    shape = [_checked(side, int, "each side of the shape") for side in _get(tensor, "shape", list)]
    sides = [spec.height, spec.width, spec.channels]
    if shape[1:] not in ([[], [1]] if datatype == "BYTES" else [sides]):
        wanted = "[n]" if datatype == "BYTES" else f"[n, {str(sides)[1:]}"
        raise InvalidRequest(f"the shape of {datatype} must be {wanted}, not {str(shape)[:100]}")
    if not shape or not 1 <= shape[0] <= most:
        raise InvalidRequest(f"the shape must begin with the number of pictures, from 1 to {most}")
    data = _data(tensor, rest)
    return strings(data, shape[0]) if datatype == "BYTES" else list(numbers(data, DTYPES[datatype], shape))


def _data(tensor: Mapping[str, Any], rest: memoryview) -> list[Any] | memoryview:
    """The tensor's values: from the JSON, or what is behind it."""
    size = _get(_get(tensor, "parameters", dict, {}), "binary_data_size", int, -1)
    if size == -1 and not rest:
        data: list[Any] = _get(tensor, "data", list)
        return data
    if size != len(rest) or "data" in tensor:
        raise InvalidRequest(f"an input has either data or, as binary_data_size, the {len(rest)} bytes behind the JSON")
    return rest
