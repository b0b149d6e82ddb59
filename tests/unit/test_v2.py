import io
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
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
from lookbook.model.bundle import Bundle
from lookbook.model.inference import Classifier
from lookbook.model.preprocessing import preprocess
from lookbook.settings import Settings
from lookbook.store import Entry, Store
from lookbook.store.sqlite import SqliteStore
from PIL import Image
from werkzeug.test import TestResponse

from tests.support.images import BOMB
from tests.support.inference import (
    MODEL,
    check_refused,
    framed,
    infer,
    infer_binary,
    outputs,
    pixels,
    split_binary,
    tensor,
)
from tests.support.load import heavy
from tests.support.places import BAG, CLOTHES, MLP, PHOTOS
from tests.support.predictions import stored
from tests.support.running import Service

SANDAL = MLP / "golden/fashion-5.png"


def test_the_server_and_its_model_are_described(client: FlaskClient) -> None:
    assert client.get("/v2").get_json() == {
        "name": "lookbook",
        "version": __version__,
        "extensions": ["binary_tensor_data", "classification"],
    }
    model = client.get(MODEL).get_json()
    assert (model["name"], model["versions"], model["platform"]) == ("fashion-mnist-mlp", ["2.2.0"], "litert_tflite")
    assert [(entry["name"], entry["datatype"], entry["shape"]) for entry in model["inputs"] + model["outputs"]] == [
        ("image", "BYTES", [-1]),
        ("scores", "FP32", [-1, 10]),
        ("label", "BYTES", [-1]),
    ]
    assert client.get(f"{MODEL}/versions/2.2.0").get_json() == model


def test_liveness_and_readiness(client: FlaskClient) -> None:
    assert client.get("/v2/health/live").get_json() == {"live": True}
    assert client.get("/v2/health/ready").get_json() == {"ready": True}
    for path in (MODEL, f"{MODEL}/versions/2.2.0"):
        assert client.get(f"{path}/ready").get_json() == {"name": "fashion-mnist-mlp", "ready": True}


@pytest.mark.parametrize("path", ["/v2/models/other", f"{MODEL}/versions/2.0.0"])
def test_another_model_is_not_found(client: FlaskClient, path: str) -> None:
    for response in (client.get(path), client.get(f"{path}/ready"), client.post(f"{path}/infer", json={})):
        check_refused(response, 404, "not found; this server serves fashion-mnist-mlp 2.2.0")


def test_an_image_in_base64_is_classified_and_stored(client: FlaskClient) -> None:
    response = infer(client, id="mine")
    found, body = outputs(response), response.get_json()
    assert (found["label"]["datatype"], found["label"]["shape"], found["label"]["data"]) == ("BYTES", [1], ["Bag"])
    assert (found["scores"]["datatype"], found["scores"]["shape"]) == ("FP32", [1, 10])
    assert np.argmax(found["scores"]["data"]) == 8
    assert (body["model_name"], body["model_version"]) == ("fashion-mnist-mlp", "2.2.0")
    assert body["id"] == "mine"
    prediction = client.get(f"/v1/predictions/{body['parameters']['prediction_ids']}").get_json()
    assert (prediction["label"], prediction["file_name"]) == ("Bag", "")
    assert prediction["score"] == pytest.approx(max(found["scores"]["data"]), abs=1e-6)
    assert client.get(f"/v1/predictions/{prediction['id']}/thumbnail").status_code == 200


def test_a_request_without_an_id_gets_none(client: FlaskClient) -> None:
    assert "id" not in infer(client).get_json()


def test_a_batch_keeps_its_order(client: FlaskClient) -> None:
    response = infer(client, tensor(*[path.read_bytes() for path in (BAG, SANDAL, BAG)], shape=[3, 1]))
    assert outputs(response)["label"]["data"] == ["Bag", "Sandal", "Bag"]
    ids = response.get_json()["parameters"]["prediction_ids"].split(",")
    assert [item["id"] for item in stored(client)] == ids[::-1]
    assert [item["label"] for item in stored(client)] == ["Bag", "Sandal", "Bag"]


def test_classes_are_strings_of_score_index_and_label(client: FlaskClient) -> None:
    def best(count: int) -> list[dict[str, Any]]:
        return [{"name": "scores", "parameters": {"classification": count}}]

    images = tensor(BAG.read_bytes(), SANDAL.read_bytes())
    (entry,) = outputs(infer(client, images, outputs=best(2))).values()
    assert (entry["datatype"], entry["shape"]) == ("BYTES", [2, 2])
    score, index, label = entry["data"][0].split(":")
    assert (index, label) == ("8", "Bag")
    assert float(score) == pytest.approx(0.9997, abs=0.001)
    assert entry["data"][2].endswith(":5:Sandal")
    assert outputs(infer(client, outputs=best(99)))["scores"]["shape"] == [1, 10]


def test_binary_data_goes_both_ways(client: FlaskClient) -> None:
    response = infer_binary(client, framed(BAG.read_bytes()))
    assert response.status_code == 200
    assert response.content_type == "application/octet-stream"
    head, rest = split_binary(response)
    scores, label = head["outputs"]
    assert (scores["shape"], scores["parameters"]) == ([1, 10], {"binary_data_size": 40})
    assert (label["shape"], label["parameters"]) == ([1], {"binary_data_size": 7})
    assert np.argmax(np.frombuffer(rest[:40], "<f4")) == 8
    assert rest[40:] == framed(b"Bag")
    assert head["parameters"]["prediction_ids"] == stored(client)[0]["id"]


def test_an_output_may_differ_from_the_others(client: FlaskClient) -> None:
    wanted = [{"name": "label", "parameters": {"binary_data": False}}, {"name": "scores"}]
    response = infer(client, outputs=wanted, parameters={"binary_data_output": True})
    label, scores = split_binary(response)[0]["outputs"]
    assert (label["data"], "data" in scores) == (["Bag"], False)


@pytest.mark.parametrize("form", ["flat", "nested", "binary"])
@pytest.mark.parametrize("datatype", ["UINT8", "FP32"])
def test_pixels_give_the_scores_of_their_image(client: FlaskClient, bundle: Bundle, form: str, datatype: str) -> None:
    plain = np.asarray(Image.open(BAG), np.uint8).reshape(1, 28, 28, 1)
    values = plain if datatype == "UINT8" else preprocess(BAG.read_bytes(), bundle.input, 1000)
    wanted = outputs(infer(client))["scores"]["data"]
    if form == "binary":
        response = infer_binary(client, values.tobytes(), datatype=datatype, shape=[1, 28, 28, 1])
        found = np.frombuffer(split_binary(response)[1][:40], "<f4").tolist()
    else:
        found = outputs(infer(client, pixels(values, datatype, form == "nested")))["scores"]["data"]
    assert found == wanted
    # The thumbnail shows the image even if only normalized pixels were sent.
    thumbnails = [client.get(f"/v1/predictions/{item['id']}/thumbnail").data for item in stored(client)]
    assert thumbnails[0] == thumbnails[1]


@pytest.fixture
def clothes_client(clothes: Classifier, app: Flask) -> FlaskClient:
    store: Store = app.extensions["lookbook"].store
    return create_app(Settings(), clothes, store).test_client()


def test_pixels_of_a_color_model_are_normalized_like_its_images(
    clothes: Classifier, clothes_client: FlaskClient
) -> None:
    spec = replace(clothes.bundle.input, type="float32")
    photo = (PHOTOS / "shirt.jpg").read_bytes()
    normalized = preprocess(photo, spec, 25_000_000)
    plain = np.round((normalized * np.array(spec.std) + np.array(spec.mean)) * 255).astype(np.uint8)

    def scores(entry: dict[str, Any]) -> Any:
        response = clothes_client.post("/v2/models/lookbook-clothes/infer", json={"inputs": [entry]})
        return outputs(response)["scores"]["data"]

    wanted = scores(tensor(photo))
    assert scores(pixels(normalized, "FP32", nested=True)) == pytest.approx(wanted, abs=1e-6)
    assert scores(pixels(plain, "UINT8")) == pytest.approx(wanted, abs=0.01)
    assert {item["label"] for item in stored(clothes_client)} == {"Shirt"}


@pytest.fixture
def colors_client(colors: Classifier, app: Flask) -> FlaskClient:
    store: Store = app.extensions["lookbook"].store
    return create_app(Settings(), colors, store).test_client()


def infer_color(client: FlaskClient, entry: dict[str, Any]) -> TestResponse:
    return client.post("/v2/models/colors/infer", json={"inputs": [entry]})


@pytest.mark.parametrize("photo", ["hat", "shirt", "shoes"])
def test_a_model_of_pixels_takes_the_same_inputs(colors: Classifier, colors_client: FlaskClient, photo: str) -> None:
    image = (PHOTOS / f"{photo}.jpg").read_bytes()
    plain = preprocess(image, colors.bundle.input, 25_000_000)
    normalized = preprocess(image, replace(colors.bundle.input, type="float32"), 25_000_000)
    entries = tensor(image), pixels(plain, "UINT8"), pixels(normalized, "FP32", nested=True)
    first, *others = (outputs(infer_color(colors_client, entry))["scores"]["data"] for entry in entries)
    assert others == [first, first]
    sent = colors_client.post("/v1/predictions", data={"image": (io.BytesIO(image), "photo.jpg")}).get_json()
    assert [entry["score"] for entry in sent["top"]] == pytest.approx(sorted(first, reverse=True), abs=1e-6)


def test_a_model_of_pixels_is_described_like_any_other(colors_client: FlaskClient) -> None:
    (image,) = colors_client.get("/v2/models/colors").get_json()["inputs"]
    assert image["parameters"]["FP32"] == "[-1, 8, 8, 3]: normalized pixels, (pixel / 255 - mean) / std"
    assert (image["parameters"]["mean"], image["parameters"]["std"]) == ("[0.5, 0.5, 0.5]", "[0.5, 0.5, 0.5]")
    assert colors_client.get("/v1/model").get_json()["input"]["type"] == "uint8"


def test_numbers_become_the_nearest_pixels(colors_client: FlaskClient) -> None:
    plain = np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)
    plain[0, 0] = 255
    numbers = (plain + np.float32(0.4)) / np.float32(127.5) - 1
    numbers[0, 0] = 3e38
    found = [infer_color(colors_client, pixels(*each)) for each in ((plain, "UINT8"), (numbers, "FP32"))]
    assert outputs(found[0]) == outputs(found[1])


@pytest.mark.parametrize(
    ("number", "message"), [(float("nan"), "NaN is not a number"), (1e39, "FP32 values must be finite")]
)
def test_a_model_of_pixels_needs_finite_numbers(colors_client: FlaskClient, number: float, message: str) -> None:
    check_refused(infer_color(colors_client, pixels(np.full((1, 8, 8, 3), number), "FP32")), 400, message)


@pytest.mark.parametrize(
    ("image", "status", "message"),
    [
        (b"", 400, "image 2 of 2: the file is empty"),
        (b"hello", 415, "image 2 of 2: the file is not a JPEG, PNG, or WebP"),
        (BAG.read_bytes()[:200], 400, "image 2 of 2: the image cannot be decoded"),
        (BOMB, 413, "image 2 of 2: the image has 169.0 megapixels"),
    ],
    ids=["empty", "text", "cut", "bomb"],
)
def test_one_bad_image_refuses_its_batch(client: FlaskClient, image: bytes, status: int, message: str) -> None:
    check_refused(infer(client, tensor(BAG.read_bytes(), image)), status, message)
    assert stored(client) == []


def test_every_error_has_the_format_of_the_protocol(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    client = make_app(tokens_file=str(tmp_path / "tokens"), max_bytes=1000, max_requests=1).test_client()
    check_refused(infer(client), 401, "bearer token")
    check_refused(client.get("/v2/nothing"), 401, "bearer token")
    assert client.get("/v2/health/ready").status_code == client.get(f"{MODEL}/ready").status_code == 200
    client.environ_base["HTTP_AUTHORIZATION"] = "Bearer secret"
    for path in ("/v2/nothing", "/v2/", "/v2/health/nothing"):
        check_refused(client.get(path), 404, "no such path")
    for response in (client.get(f"{MODEL}/infer"), client.post("/v2")):
        check_refused(response, 405, "does not support this method")
        assert response.headers["Allow"]
    check_refused(client.post(f"{MODEL}/infer", data=bytes(1001)), 413, "larger than 1,000 bytes")
    check_refused(client.post(f"{MODEL}/infer", headers={"Sec-Fetch-Site": "cross-site"}), 403, "other sites")
    check_refused(client.post(f"{MODEL}/infer", headers={"Idempotency-Key": "k"}), 400, "or use /v1/predictions")
    check_refused(client.post(f"{MODEL}/infer", headers={"Content-Encoding": "gzip"}), 415, "compressed")
    unread = client.get("/v1/model", buffered=False)
    busy = client.get("/v2")
    unread.close()
    check_refused(busy, 503, "already handling 1 requests")
    assert "Retry-After" in busy.headers


class FailingStore(SqliteStore):
    """Fails at the second prediction of a batch, as if the disk were full."""

    def put_all(self, entries: Sequence[Entry]) -> None:
        def first_then_fail() -> Iterator[Entry]:
            yield entries[0]
            raise StoreUnavailable("the store is unavailable: disk full")

        super().put_all(first_then_fail())  # type: ignore[arg-type]


def test_a_batch_that_cannot_be_stored_is_not_acknowledged(classifier: Classifier, tmp_path: Path) -> None:
    store = FailingStore(str(tmp_path / "failing.sqlite"), lambda _: None)
    client = create_app(Settings(), classifier, store).test_client()
    response = infer(client, tensor(BAG.read_bytes(), SANDAL.read_bytes()))
    check_refused(response, 503, "disk full")
    assert "Retry-After" in response.headers
    assert stored(client) == []
    store.close()


def post(service: Service, body: bytes | str) -> requests.Response:
    return requests.post(f"{service.url}/v2/models/lookbook-clothes/infer", body, timeout=120)


def test_a_batch_of_large_images_holds_one_of_them_at_a_time(serve: Callable[..., Service]) -> None:
    service = serve(model=CLOTHES).ready()
    body = json.dumps({"inputs": [tensor(*[heavy()] * 8)]})
    before = service.resident()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(post, service, body)
        most = service.most_resident([sending])
    assert sending.result().status_code == 200
    # One image takes 72 MB decoded.
    assert most - before < 200_000_000


HEAD = b'{"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 96, 96, 3], "data": ['
LARGEST: dict[str, Callable[[int], bytes]] = {
    "numbers": lambda size: b"1.5," * (size // 4),
    "lists": lambda size: b"[[[[[[[0]]]]]]]," * 28_000 + b"0," * (size // 2 - 28_000 * 8),
    "wide": lambda size: b'"' + "\N{PARTY POPPER}".encode() * (size // 4 - 1) + b'",',
}


@pytest.mark.parametrize("kind", LARGEST)
def test_requests_at_the_limits_fit_into_memory(serve: Callable[..., Service], kind: str) -> None:
    service = serve(model=CLOTHES).ready()
    body = HEAD + LARGEST[kind](Settings().max_bytes - len(HEAD) - 100) + b"0]}]}"
    assert 0.99 * Settings().max_bytes < len(body) <= Settings().max_bytes
    with ThreadPoolExecutor(40) as pool:
        sending = [pool.submit(post, service, body) for _ in range(40)]
        most = service.most_resident(sending)
    # How many find the queue full depends on how fast it is emptied.
    assert {400} <= {future.result().status_code for future in sending} <= {400, 503}
    assert most < 512_000_000
