import base64
import json
import re
import struct
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from lookbook import __version__
from lookbook.errors import StoreUnavailable
from lookbook.http.app import create_app
from lookbook.model.inference import Classifier
from lookbook.model.preprocessing import preprocess
from lookbook.prediction import Prediction
from lookbook.settings import Settings
from lookbook.store.sqlite import SqliteStore
from PIL import Image
from werkzeug.test import TestResponse

from tests.support.images import BOMB
from tests.support.load import heavy
from tests.support.places import BAG, CLOTHES, MLP, PHOTOS, ROOT
from tests.support.records import stored
from tests.support.running import Service

MODEL = "/v2/models/fashion-mnist-mlp"
LENGTH = "Inference-Header-Content-Length"
SANDAL = MLP / "golden/fashion-5.png"


def text(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def tensor(*pictures: bytes, **changes: Any) -> dict[str, Any]:
    data = [text(picture) for picture in pictures or (BAG.read_bytes(),)]
    return {"name": "image", "datatype": "BYTES", "shape": [len(data)], "data": data, **changes}


def infer(client: FlaskClient, *inputs: dict[str, Any], **members: Any) -> TestResponse:
    return client.post(f"{MODEL}/infer", json={"inputs": inputs or [tensor()], **members})


def outputs(response: TestResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return {entry["name"]: entry for entry in response.json["outputs"]}


def refused(response: TestResponse, status: int, complaint: str) -> None:
    assert response.status_code == status, response.text
    assert list(response.json) == ["error"]
    assert complaint in response.json["error"]


def framed(*values: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def send_binary(client: FlaskClient, blob: bytes, length: int | str | None = None, **changes: Any) -> TestResponse:
    entry = tensor(**{"shape": [1], "parameters": {"binary_data_size": len(blob)}, **changes})
    del entry["data"]
    head = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
    return client.post(
        f"{MODEL}/infer", data=head + blob, headers={LENGTH: str(len(head) if length is None else length)}
    )


def test_the_server_and_its_model_are_described(client: FlaskClient) -> None:
    assert client.get("/v2").json == {
        "name": "lookbook",
        "version": __version__,
        "extensions": ["binary_tensor_data", "classification"],
    }
    model = client.get(MODEL).json
    assert (model["name"], model["versions"], model["platform"]) == ("fashion-mnist-mlp", ["2.2.0"], "litert_tflite")
    assert [(entry["name"], entry["datatype"], entry["shape"]) for entry in model["inputs"] + model["outputs"]] == [
        ("image", "BYTES", [-1]),
        ("scores", "FP32", [-1, 10]),
        ("label", "BYTES", [-1]),
    ]
    assert client.get(f"{MODEL}/versions/2.2.0").json == model


def test_it_is_live_and_ready(client: FlaskClient) -> None:
    assert client.get("/v2/health/live").json == {"live": True}
    assert client.get("/v2/health/ready").json == {"ready": True}
    for path in (MODEL, f"{MODEL}/versions/2.2.0"):
        assert client.get(f"{path}/ready").json == {"name": "fashion-mnist-mlp", "ready": True}


@pytest.mark.parametrize("path", ["/v2/models/other", f"{MODEL}/versions/2.0.0"])
def test_another_model_is_not_here(client: FlaskClient, path: str) -> None:
    for response in (client.get(path), client.get(f"{path}/ready"), client.post(f"{path}/infer", json={})):
        refused(response, 404, "there is fashion-mnist-mlp 2.2.0")


def test_a_picture_in_base64_is_classified_and_stored(client: FlaskClient) -> None:
    response = infer(client, id="mine")
    found = outputs(response)
    assert (found["label"]["datatype"], found["label"]["shape"], found["label"]["data"]) == ("BYTES", [1], ["Bag"])
    assert (found["scores"]["datatype"], found["scores"]["shape"]) == ("FP32", [1, 10])
    assert np.argmax(found["scores"]["data"]) == 8
    assert (response.json["model_name"], response.json["model_version"]) == ("fashion-mnist-mlp", "2.2.0")
    assert response.json["id"] == "mine"
    record = client.get(f"/v1/predictions/{response.json['parameters']['prediction_ids']}").json
    assert (record["label"], record["file_name"]) == ("Bag", "")
    assert record["score"] == pytest.approx(max(found["scores"]["data"]), abs=1e-6)
    assert client.get(f"/v1/predictions/{record['id']}/thumbnail").status_code == 200


def test_without_an_id_none_is_made_up(client: FlaskClient) -> None:
    assert "id" not in infer(client).json


def test_a_batch_keeps_its_order(client: FlaskClient) -> None:
    response = infer(client, tensor(*[path.read_bytes() for path in (BAG, SANDAL, BAG)], shape=[3, 1]))
    assert outputs(response)["label"]["data"] == ["Bag", "Sandal", "Bag"]
    ids = response.json["parameters"]["prediction_ids"].split(",")
    assert [item["id"] for item in stored(client)] == ids[::-1]
    assert [item["label"] for item in stored(client)] == ["Bag", "Sandal", "Bag"]


def test_classes_are_strings_of_score_index_and_label(client: FlaskClient) -> None:
    wanted = [{"name": "scores", "parameters": {"classification": 2}}]
    pictures = tensor(BAG.read_bytes(), SANDAL.read_bytes())
    (entry,) = outputs(infer(client, pictures, outputs=wanted)).values()
    assert (entry["datatype"], entry["shape"]) == ("BYTES", [2, 2])
    score, index, label = entry["data"][0].split(":")
    assert (index, label) == ("8", "Bag")
    assert float(score) == pytest.approx(0.9997, abs=0.001)
    assert entry["data"][2].endswith(":5:Sandal")
    wanted[0]["parameters"]["classification"] = 99
    assert outputs(infer(client, outputs=wanted))["scores"]["shape"] == [1, 10]


def test_binary_data_goes_both_ways(client: FlaskClient) -> None:
    response = send_binary(client, framed(BAG.read_bytes()))
    assert response.status_code == 200
    assert response.content_type == "application/octet-stream"
    head = json.loads(response.data[: int(response.headers[LENGTH])])
    rest = response.data[int(response.headers[LENGTH]) :]
    scores, label = head["outputs"]
    assert (scores["shape"], scores["parameters"]) == ([1, 10], {"binary_data_size": 40})
    assert (label["shape"], label["parameters"]) == ([1], {"binary_data_size": 7})
    assert np.argmax(np.frombuffer(rest[:40], "<f4")) == 8
    assert rest[40:] == framed(b"Bag")
    assert head["parameters"]["prediction_ids"] == stored(client)[0]["id"]


def test_an_output_may_differ_from_the_others(client: FlaskClient) -> None:
    wanted = [{"name": "label", "parameters": {"binary_data": False}}, {"name": "scores"}]
    response = infer(client, outputs=wanted, parameters={"binary_data_output": True})
    label, scores = json.loads(response.data[: int(response.headers[LENGTH])])["outputs"]
    assert (label["data"], "data" in scores) == (["Bag"], False)


def as_sent(values: np.ndarray, form: str, datatype: str) -> dict[str, Any]:
    data = values.tolist() if form == "nested" else values.ravel().tolist()
    return {"name": "image", "datatype": datatype, "shape": list(values.shape), "data": data}


@pytest.mark.parametrize("form", ["flat", "nested", "binary"])
@pytest.mark.parametrize("datatype", ["UINT8", "FP32"])
def test_pixels_give_the_scores_of_their_picture(client: FlaskClient, form: str, datatype: str) -> None:
    spec = client.application.extensions["classifier"].bundle.input
    plain = np.asarray(Image.open(BAG), np.uint8).reshape(1, 28, 28, 1)
    values = plain if datatype == "UINT8" else preprocess(BAG.read_bytes(), spec, 1000)
    wanted = outputs(infer(client))["scores"]["data"]
    if form == "binary":
        response = send_binary(client, values.tobytes(), datatype=datatype, shape=[1, 28, 28, 1])
        start = int(response.headers[LENGTH])
        found = np.frombuffer(response.data[start : start + 40], "<f4").tolist()
    else:
        found = outputs(infer(client, as_sent(values, form, datatype)))["scores"]["data"]
    assert found == wanted
    # The thumbnail shows the picture, also where only the model's own input came.
    thumbnails = [client.get(f"/v1/predictions/{item['id']}/thumbnail").data for item in stored(client)]
    assert thumbnails[0] == thumbnails[1]


def test_numbers_of_a_colour_model_are_normalised_as_its_pictures_are(clothes: Classifier, make_app: Any) -> None:
    client = create_app(Settings(), clothes, make_app().extensions["store"]).test_client()
    spec = clothes.bundle.input
    photo = (PHOTOS / "shirt.jpg").read_bytes()
    own = preprocess(photo, spec, 25_000_000)
    pixels = np.round((own * np.array(spec.std) + np.array(spec.mean)) * 255).astype(np.uint8)

    def scores(entry: dict[str, Any]) -> list[float]:
        response = client.post("/v2/models/lookbook-clothes/infer", json={"inputs": [entry]})
        return outputs(response)["scores"]["data"]

    wanted = scores(tensor(photo))
    assert scores(as_sent(own, "nested", "FP32")) == pytest.approx(wanted, abs=1e-6)
    assert scores(as_sent(pixels, "flat", "UINT8")) == pytest.approx(wanted, abs=0.01)
    assert {item["label"] for item in stored(client)} == {"Shirt"}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b"[" * 300_000, "too many parts"),
        (b"1," * 4_000_000, "more numbers than a batch may have"),
        (b'{"id": "1", "inputs": [NaN]}', "NaN is no number"),
        (b"1" * 5000, "not JSON"),
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
def test_a_malformed_request_is_named(client: FlaskClient, body: bytes, complaint: str) -> None:
    refused(client.post(f"{MODEL}/infer", data=body), 400, complaint)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "input-0"}, "no input named 'input-0'; send one named 'image'"),
        ({"datatype": "FP16"}, "datatype must be BYTES, UINT8 or FP32"),
        ({"shape": None}, "shape must be a list"),
        ({"shape": []}, "must begin with the number of pictures"),
        ({"shape": [True]}, "each side of the shape must be a whole number"),
        ({"shape": [0], "data": []}, "from 1 to 32"),
        ({"shape": [33]}, "from 1 to 32"),
        ({"shape": [-1]}, "from 1 to 32"),
        ({"shape": [1, 2]}, "the shape of BYTES must be [n], not [1, 2]"),
        ({"shape": [2]}, "as many strings as the shape says, 2"),
        ({"data": "x"}, "data must be a list"),
        ({"data": [1]}, "as many strings"),
        ({"data": [None]}, "as many strings"),
        ({"data": [{"b64": "eA=="}]}, "as many strings"),
        ({"data": ["no base64!"]}, "base64"),
        ({"data": ["eA==\n"]}, "base64"),
        ({"data": ["\u00e4"]}, "base64"),
        ({"data": [["eA=="], "eA=="], "shape": [2]}, "nested as the shape says"),
        ({"parameters": 1}, "parameters must be an object"),
        ({"parameters": {"binary_data_size": 4}}, "0 bytes behind the JSON"),
        ({"datatype": "UINT8"}, "the shape of UINT8 must be [n, 28, 28, 1], not [1]"),
        ({"datatype": "UINT8", "shape": [1, 28, 28, 1], "data": [0] * 783}, "783 numbers in data; the shape says 784"),
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
def test_a_bad_tensor_is_named_and_nothing_is_stored(
    client: FlaskClient, changes: dict[str, Any], complaint: str
) -> None:
    refused(infer(client, tensor(**changes)), 400, complaint)
    assert stored(client) == []


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("label", "an output must be an object"),
        ({"name": "probabilities"}, "no output named 'probabilities'"),
        ({"name": "label", "parameters": {"classification": 1}}, "on the output 'scores'"),
        ({"name": "scores", "parameters": {"classification": -1}}, "must be a number of labels"),
        ({"name": "scores", "parameters": {"classification": "3"}}, "must be a whole number"),
        ({"name": "scores", "parameters": {"binary_data": 1}}, "must be true or false"),
    ],
)
def test_a_bad_output_is_named(client: FlaskClient, entry: object, complaint: str) -> None:
    refused(infer(client, outputs=[entry]), 400, complaint)
    refused(infer(client, outputs=[{"name": "label"}] * 2), 400, "asked for twice")


@pytest.mark.parametrize(
    ("blob", "options", "complaint"),
    [
        (b"", {}, "not 1 strings"),
        (b"\1\0", {}, "not 1 strings"),
        (b"\5\0\0\0x", {}, "not 1 strings"),
        (framed(b"x", b"y"), {}, "not 1 strings"),
        (framed(b"x"), {"parameters": {"binary_data_size": 4}}, "5 bytes behind the JSON"),
        (framed(b"x"), {"parameters": {}}, "5 bytes behind the JSON"),
        (framed(b"x"), {"length": 10**6}, "up to the body's"),
        (framed(b"x"), {"length": "x"}, "up to the body's"),
        (framed(b"x"), {"datatype": "UINT8", "shape": [1, 28, 28, 1]}, "5 bytes of data; the shape says 784"),
        (b"\0\0\xc0\x7f" * 784, {"datatype": "FP32", "shape": [1, 28, 28, 1]}, "finite"),
    ],
)
def test_bad_binary_data_is_named(client: FlaskClient, blob: bytes, options: dict[str, Any], complaint: str) -> None:
    refused(send_binary(client, blob, **options), 400, complaint)


@pytest.mark.parametrize(
    ("picture", "status", "complaint"),
    [
        (b"", 400, "image 1: the file is empty"),
        (b"hello", 415, "image 1: the file is not a JPEG, PNG or WebP"),
        (BAG.read_bytes()[:200], 400, "image 1: the image cannot be decoded"),
        (BOMB, 413, "image 1: the image has 169.0 megapixels"),
    ],
    ids=["empty", "text", "cut", "bomb"],
)
def test_one_bad_picture_refuses_its_batch(client: FlaskClient, picture: bytes, status: int, complaint: str) -> None:
    refused(infer(client, tensor(BAG.read_bytes(), picture)), status, complaint)
    assert stored(client) == []


def test_every_refusal_has_the_form_of_the_protocol(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    client = make_app(tokens_file=str(tmp_path / "tokens"), max_bytes=1000, max_requests=1).test_client()
    refused(infer(client), 401, "bearer token")
    assert client.get("/v2/health/ready").status_code == client.get(f"{MODEL}/ready").status_code == 200
    client.environ_base["HTTP_AUTHORIZATION"] = "Bearer secret"
    refused(client.get("/v2/nothing"), 404, "not found")
    refused(client.get(f"{MODEL}/infer"), 405, "not allowed")
    refused(client.post(f"{MODEL}/infer", data=bytes(1001)), 413, "larger than 1000 bytes")
    refused(client.post(f"{MODEL}/infer", headers={"Sec-Fetch-Site": "cross-site"}), 403, "other sites")
    refused(client.post(f"{MODEL}/infer", headers={"Idempotency-Key": "k"}), 400, "/v1/predictions takes one")
    refused(client.post(f"{MODEL}/infer", headers={"Content-Encoding": "gzip"}), 415, "compressed")
    unread = client.get("/v1/model", buffered=False)
    busy = client.get("/v2")
    unread.close()
    refused(busy, 503, "already has 1 requests")
    assert "Retry-After" in busy.headers


class Failing(SqliteStore):
    """Fails at the second record of a call, as a disk that fills up does."""

    def put_all(self, entries: Sequence[tuple[Prediction, bytes | None]]) -> None:
        def first_then_fail() -> Any:
            yield entries[0]
            raise StoreUnavailable("the store does not answer: disk full")

        super().put_all(first_then_fail())


def test_a_batch_that_cannot_be_stored_is_not_acknowledged(classifier: Classifier, tmp_path: Path) -> None:
    store = Failing(str(tmp_path / "failing.sqlite"), lambda _: None)
    client = create_app(Settings(), classifier, store).test_client()
    response = infer(client, tensor(BAG.read_bytes(), SANDAL.read_bytes()))
    refused(response, 503, "disk full")
    assert "Retry-After" in response.headers
    assert stored(client) == []
    store.close()


def test_a_batch_of_large_pictures_holds_one_of_them_at_a_time(serve: Callable[..., Service]) -> None:
    service = serve(model=CLOTHES).ready()
    body = json.dumps({"inputs": [tensor(*[heavy()] * 8)]})
    before = service.resident()

    def send() -> requests.Response:
        return requests.post(f"{service.url}/v2/models/lookbook-clothes/infer", body, timeout=120)

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        most = service.most_resident([sending])
    assert sending.result().status_code == 200
    # One picture takes 72 MB decoded.
    assert most - before < 200_000_000


def test_the_readmes_example_runs(serve: Callable[..., Service]) -> None:
    service = serve(model=CLOTHES).ready()
    (example,) = re.findall(r"^picture=.*?^curl .*?$", (ROOT / "README.md").read_text(), re.M | re.S)
    command, promised = example.replace("http://127.0.0.1:8080", service.url).split("    # ")
    run = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=30)
    found, shown = (
        [entry.split(":") for entry in entries]
        for entries in (json.loads(run.stdout)["outputs"][0]["data"], json.loads(f"[{promised}]"))
    )
    assert found[0][1:] == shown[0][1:]
    # The last digits depend on the processor.
    assert [float(score) for score, *_ in found] == pytest.approx([float(score) for score, *_ in shown], abs=0.005)


HEAD = b'{"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 96, 96, 3], "data": ['
LARGEST = {
    "numbers": lambda size: b"1.5," * (size // 4),
    "lists": lambda size: b"[[[[[[[0]]]]]]]," * 28_000 + b"0," * (size // 2 - 28_000 * 8),
    "wide": lambda size: b'"' + "\N{PARTY POPPER}".encode() * (size // 4 - 1) + b'",',
}


@pytest.mark.parametrize("kind", LARGEST)
def test_requests_at_the_limits_fit_into_memory(serve: Callable[..., Service], kind: str) -> None:
    service = serve(model=CLOTHES).ready()
    body = HEAD + LARGEST[kind](Settings().max_bytes - len(HEAD) - 100) + b"0]}]}"
    assert 0.99 * Settings().max_bytes < len(body) <= Settings().max_bytes

    def send() -> requests.Response:
        return requests.post(f"{service.url}/v2/models/lookbook-clothes/infer", body, timeout=120)

    with ThreadPoolExecutor(40) as pool:
        sending = [pool.submit(send) for _ in range(40)]
        most = service.most_resident(sending)
    # How many find the queue full depends on how fast it is emptied.
    assert {400} <= {future.result().status_code for future in sending} <= {400, 503}
    assert most < 512_000_000
