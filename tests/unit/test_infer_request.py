from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.inference import MODEL, check_refused, framed, infer, infer_binary, tensor
from tests.support.predictions import stored


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 5000, "not valid JSON"),
        (b"[" * 300_000, "too many lists"),
        (b"1," * 4_000_000, "more numbers than the largest batch needs"),
        (b'{"id": "1", "inputs": [NaN]}', "NaN is not a number"),
        (b"1" * 5000, "not valid JSON"),
        (b"[]", "the request must be an object"),
        (b"{}", "inputs must be a list"),
        (b'{"inputs": []}', "0 inputs; send one, named 'image'"),
        (b'{"inputs": [1]}', "an input must be an object"),
        (b'{"inputs": [{}]}', "name must be a string"),
        (b'{"inputs": [{}], "id": 1}', "id must be a string"),
        (b'{"inputs": [{}], "id": "%s"}' % (b"x" * 1025), "id is longer than 1024"),
        (b'{"inputs": [{}], "parameters": []}', "name must be a string"),
    ],
)
def test_a_malformed_request_is_refused(client: FlaskClient, body: bytes, message: str) -> None:
    check_refused(client.post(f"{MODEL}/infer", data=body), 400, message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "input-0"}, "unknown input 'input-0'; send one named 'image'"),
        ({"datatype": "FP16"}, "datatype must be BYTES, UINT8, or FP32"),
        ({"shape": None}, "shape must be a list"),
        ({"shape": []}, "must begin with the number of images"),
        ({"shape": [True]}, "each dimension of the shape must be a whole number"),
        ({"shape": [0], "data": []}, "from 1 to 32"),
        ({"shape": [33]}, "from 1 to 32"),
        ({"shape": [-1]}, "from 1 to 32"),
        ({"shape": [1, 2]}, "the shape of BYTES must be [n], not [1, 2]"),
        ({"shape": [2]}, "data must have as many strings as the shape says: 2"),
        ({"data": "x"}, "data must be a list"),
        ({"data": [1]}, "data must have as many strings as the shape says"),
        ({"data": [None]}, "data must have as many strings as the shape says"),
        ({"data": [{"b64": "eA=="}]}, "data must have as many strings as the shape says"),
        ({"data": ["no base64!"]}, "base64"),
        ({"data": ["eA==\n"]}, "base64"),
        ({"data": ["\u00e4"]}, "base64"),
        ({"data": [["eA=="], "eA=="], "shape": [2]}, "nested as the shape says"),
        ({"parameters": 1}, "parameters must be an object"),
        ({"parameters": {"binary_data_size": 4}}, "a binary_data_size of 0, the number of bytes after the JSON"),
        ({"datatype": "UINT8"}, "the shape of UINT8 must be [n, 28, 28, 1], not [1]"),
        (
            {"datatype": "UINT8", "shape": [1, 28, 28, 1], "data": [0] * 783},
            "783 numbers; the shape needs 784",
        ),
        ({"datatype": "UINT8", "shape": [1, 28, 28, 1], "data": [256] * 784}, "0 to 255"),
        ({"datatype": "UINT8", "shape": [1, 28, 28, 1], "data": [0.5] * 784}, "0 to 255"),
        ({"datatype": "UINT8", "shape": [1, 28, 28, 1], "data": ["0"] * 784}, "must be numbers"),
        ({"datatype": "FP32", "shape": [1, 28, 28, 1], "data": [10**400] * 784}, "must be numbers"),
        ({"datatype": "FP32", "shape": [1, 28, 28, 1], "data": [1e39] * 784}, "finite"),
        (
            {"datatype": "FP32", "shape": [1, 28, 28, 1], "data": [1e38, -1e38] * 392},
            "are not finite",
        ),
        ({"datatype": "FP32", "shape": [1, 28, 28, 1], "data": [None] * 784}, "must be numbers"),
    ],
)
def test_a_bad_tensor_is_refused_and_nothing_is_stored(
    client: FlaskClient, changes: dict[str, Any], message: str
) -> None:
    check_refused(infer(client, tensor(**changes)), 400, message)
    assert stored(client) == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("label", "an output must be an object"),
        ({"name": "probabilities"}, "unknown output 'probabilities'"),
        ({"name": "label", "parameters": {"classification": 1}}, "only for the output 'scores'"),
        ({"name": "scores", "parameters": {"classification": -1}}, "must be the number of labels"),
        ({"name": "scores", "parameters": {"classification": "3"}}, "must be a whole number"),
        ({"name": "scores", "parameters": {"binary_data": 1}}, "must be true or false"),
    ],
)
def test_a_bad_output_is_refused(client: FlaskClient, entry: object, message: str) -> None:
    check_refused(infer(client, outputs=[entry]), 400, message)
    check_refused(infer(client, outputs=[{"name": "label"}] * 2), 400, "the output 'label' is requested more than once")


@pytest.mark.parametrize(
    ("blob", "options", "message"),
    [
        (b"", {}, "as the shape says, 1"),
        (b"\1\0", {}, "as the shape says, 1"),
        (b"\5\0\0\0x", {}, "as the shape says, 1"),
        (framed(b"x", b"y"), {}, "as the shape says, 1"),
        (
            framed(b"x"),
            {"parameters": {"binary_data_size": 4}},
            "a binary_data_size of 5, the number of bytes after the JSON",
        ),
        (framed(b"x"), {"parameters": {}}, "a binary_data_size of 5, the number of bytes after the JSON"),
        (framed(b"x"), {"length": 10**6}, "up to the body's length"),
        (framed(b"x"), {"length": "x"}, "up to the body's length"),
        (framed(b"x"), {"datatype": "UINT8", "shape": [1, 28, 28, 1]}, "data has 5 bytes; the shape needs 784"),
        (b"\0\0\xc0\x7f" * 784, {"datatype": "FP32", "shape": [1, 28, 28, 1]}, "finite"),
    ],
)
def test_bad_binary_data_is_refused(client: FlaskClient, blob: bytes, options: dict[str, Any], message: str) -> None:
    check_refused(infer_binary(client, blob, **options), 400, message)
