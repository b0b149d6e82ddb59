"""`lookbook replay`, against a real server with a store that the tests fill."""

import io
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from lookbook.model.bundle import Bundle, read_bundle
from lookbook.model.decoding import decode
from lookbook.model.inference import Classifier
from lookbook.model.preprocessing import to_array
from lookbook.prediction import Prediction, id_maker
from lookbook.replay.inputs import StoredInput
from lookbook.store import Entry, Input, Store
from lookbook.store.sqlite import SqliteStore

from tests.support.commands import lookbook
from tests.support.places import BAG, CLOTHES, GOLDEN, MLP, PHOTOS
from tests.support.replays import exchange_labels, sample, variants
from tests.support.running import Service

BAGS, OTHERS = 9, 12
Alter = Callable[[Callable[[dict[str, Any]], None]], Path]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return SqliteStore(str(tmp_path / "serve.sqlite"), lambda _: None)


@pytest.fixture
def service(serve: Callable[..., Service], store: Store, classifier: Classifier) -> Service:
    """A server with sampled predictions of bags and of other things."""
    others = [path for path in GOLDEN if path != BAG]
    images = variants(BAG, BAGS) + [image for path in others for image in variants(path, OTHERS // len(others))]
    made = sample(store, classifier, images)
    assert [prediction.label for prediction in made].count("Bag") == BAGS
    return serve().ready()


@pytest.fixture
def exchanged(altered: Alter) -> Path:
    """The served model with two labels exchanged."""
    return altered(exchange_labels)


def replay(service: Service, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return lookbook("replay", *arguments, "--url", service.url)


def report(ended: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def judge_flips(service: Service, comparison: str, count: int, label: str) -> None:
    """Judge the next flips in the order in which the server asks."""
    query: dict[str, str | int] = {"compare": comparison, "limit": count, "annotator": "test"}
    items = requests.get(f"{service.url}/v1/reviews", params=query, timeout=10).json()["items"]
    assert len(items) == count
    for item in items:
        path = f"{service.url}/v1/predictions/{item['id']}/ground-truths"
        assert requests.post(path, json={"label": label}, timeout=10).status_code == 201


def test_the_served_model_agrees_with_itself(service: Service) -> None:
    ended = replay(service, MLP, "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    found = report(ended)
    assert (found["pairs"], found["flips"], found["without_input"]) == (BAGS + OTHERS, [], 0)
    assert found["agreement"]["estimate"] == 1
    assert found["largest_score_difference"] == 0
    assert (found["worse"], found["better"]) == (False, False)
    assert "no significant difference" in replay(service, MLP).stdout


@pytest.mark.parametrize("keep", ["input", "original"])
def test_the_shipped_model_repeats_its_scores(serve: Callable[..., Service], keep: str) -> None:
    service = serve(model=CLOTHES, keep=keep).ready()
    for image in PHOTOS.glob("*.jpg"):
        service.send(image.read_bytes())
    bundle = read_bundle(CLOTHES)
    name, spec = bundle.name, bundle.input
    tensor = np.random.default_rng(1).normal(size=(1, spec.height, spec.width, 3)).astype(np.float32)
    body = {"inputs": [{"name": "image", "shape": tensor.shape, "datatype": "FP32", "data": tensor.ravel().tolist()}]}
    assert requests.post(f"{service.url}/v2/models/{name}/infer", json=body, timeout=30).status_code == 200
    ended = replay(service, CLOTHES, "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    found = report(ended)
    assert (found["pairs"], found["flips"], found["largest_score_difference"]) == (13, [], 0)
    other = report(replay(service, MLP, "--json"))
    assert (other["pairs"], other["largest_score_difference"], other["too_small"]) == (13, 0, 0)
    assert other["flips_to_judge"] > 3


@pytest.mark.parametrize(("keep", "too_small"), [("input", 12), ("original", 0)])
def test_a_model_that_takes_larger_images_is_warned_about(
    serve: Callable[..., Service], keep: str, too_small: int
) -> None:
    service = serve(keep=keep).ready()
    for image in PHOTOS.glob("*.jpg"):
        service.send(image.read_bytes())
    ended = replay(service, CLOTHES, "--json")
    assert (ended.returncode, report(ended)["too_small"]) == (0, too_small)
    assert ("set LOOKBOOK_KEEP=original" in ended.stderr) == bool(too_small)


def test_exchanged_labels_are_found_with_six_judgments(service: Service, exchanged: Path) -> None:
    first = replay(service, exchanged, "--json")
    assert first.returncode == 0
    found = report(first)
    assert found["flips"] == [{"baseline": "Bag", "candidate": "Shirt", "count": BAGS, "share": pytest.approx(9 / 21)}]
    assert (found["baseline"], found["candidate"]) == ("fashion-mnist-mlp/2.2.0", "fashion-mnist-mlp/3.0.0")
    judge_flips(service, found["comparison"], 5, "Bag")
    assert replay(service, exchanged).returncode == 0
    judge_flips(service, found["comparison"], 1, "Bag")
    ended = replay(service, exchanged)
    assert ended.returncode == 3
    assert "the candidate is significantly worse" in ended.stdout
    assert "right alone  candidate 0, baseline 6 (exact test: p = 0.0312)" in ended.stdout
    assert replay(service, MLP).returncode == 0


def test_all_kept_inputs_can_be_replayed(
    serve: Callable[..., Service], store: Store, classifier: Classifier, exchanged: Path
) -> None:
    sample(store, classifier, variants(BAG, BAGS), rate=None)
    service = serve(keep_for="all").ready()
    others = [path for path in GOLDEN if path != BAG]
    for path in others:
        service.send(path.read_bytes())
    nothing = replay(service, exchanged, "--until", (datetime.now(UTC) - timedelta(days=1)).date())
    assert (nothing.returncode, nothing.stdout) == (1, "")
    first = report(replay(service, exchanged, "--all", "--json"))
    count = BAGS + len(others)
    assert (first["all_inputs"], first["pairs"], first["without_input"]) == (True, count, 0)
    agreement = first["agreement"]
    assert (agreement["estimate"], agreement["support"]) == (pytest.approx(len(others) / count), count)
    judge_flips(service, first["comparison"], 6, "Bag")
    assert replay(service, exchanged, "--all").returncode == 3
    assert report(replay(service, exchanged, "--all", "--limit", str(len(others) + 2), "--json"))["flips_to_judge"] == 2


def test_a_better_candidate_is_found(service: Service, exchanged: Path) -> None:
    found = report(replay(service, exchanged, "--json"))
    judge_flips(service, found["comparison"], 6, "Shirt")
    ended = replay(service, exchanged, "--json")
    assert ended.returncode == 0
    assert report(ended)["better"]
    assert report(ended)["accuracy_difference"]["estimate"] == pytest.approx(9 / 21)


def test_the_result_is_stored_unless_it_must_not_be(service: Service, exchanged: Path) -> None:
    def stored() -> list[Any]:
        return list(requests.get(f"{service.url}/v1/comparisons", timeout=10).json()["items"])

    assert report(replay(service, exchanged, "--json", "--no-store"))["comparison"] is None
    assert stored() == []
    ended = replay(service, exchanged)
    [comparison] = stored()
    assert f"{service.url}/#review?compare={comparison['id']}" in ended.stdout
    assert comparison["candidate"] == "fashion-mnist-mlp/3.0.0"
    assert comparison["report"]["flips_to_judge"] == BAGS


def test_a_result_is_printed_even_if_it_must_not_be_stored(
    serve: Callable[..., Service], store: Store, classifier: Classifier, tmp_path: Path
) -> None:
    (tmp_path / "tokens").write_text("secret read\n")
    sample(store, classifier, variants(BAG, 2))
    ended = replay(serve(tokens_file=tmp_path / "tokens").ready(), MLP, "--token", "secret", "--json")
    assert (ended.returncode, report(ended)["pairs"]) == (1, 2)
    assert "the result is not stored: this token does not have the role 'admin'" in ended.stderr


def test_a_limit_counts_the_rest_of_the_day(service: Service) -> None:
    found = report(replay(service, MLP, "--json", "--limit", "10"))
    assert found["pairs"] == 10
    # The ten with the smallest u stand for about all 21.
    assert 10 < found["agreement"]["support"] < 45


def test_inputs_of_another_model_are_not_faithful(
    serve: Callable[..., Service], store: Store, classifier: Classifier
) -> None:
    made = sample(store, classifier, variants(BAG, 3))
    for prediction in made:
        top = (("Hat", 0.9), *prediction.top[1:])
        store.put(
            Entry(
                Prediction(prediction.id, "", top, "fashion-mnist-mlp", "2.2.0"),
                None,
                1.0,
                Input("pixels", BAG.read_bytes()),
            )
        )
    ended = replay(serve().ready(), MLP)
    assert ended.returncode == 1
    assert "for 3 of 3 stored inputs, the baseline does not repeat its stored prediction" in ended.stderr
    assert "it was Hat 0.900, now it is Bag" in ended.stderr


def test_a_period_without_samples_is_an_error(service: Service) -> None:
    ended = replay(service, MLP, "--since", "2026-01-01", "--until", "2026-01-31")
    assert (ended.returncode, ended.stdout) == (1, "")
    reason = "the server has no inputs of this model version and period (predictions without an input: 0)"
    assert f"{reason}; check --model-version" in ended.stderr


def test_samples_without_input_are_counted(serve: Callable[..., Service], store: Store, classifier: Classifier) -> None:
    made = sample(store, classifier, variants(BAG, 3))
    top = made[0].top
    extra = Prediction(id_maker()(), "", top, "fashion-mnist-mlp", "2.2.0")
    store.put(Entry(extra, None, 1.0))
    found = report(replay(serve().ready(), MLP, "--json"))
    assert (found["pairs"], found["without_input"]) == (3, 1)


def test_the_baseline_bundle_must_be_known(serve: Callable[..., Service], store: Store, altered: Alter) -> None:
    folder = altered(lambda manifest: manifest.update(name="unknown"))
    sample(store, Classifier(read_bundle(folder)), variants(BAG, 1))
    service = serve(model=folder).ready()
    ended = replay(service, MLP)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "cannot find the bundle of unknown/2.2.0, which made the predictions; name it with" in ended.stderr
    assert "but the predictions are of unknown/2.2.0" in replay(service, MLP, "--baseline-bundle", MLP).stderr
    assert replay(service, MLP, "--baseline-bundle", folder).returncode == 0


def test_a_report_shows_the_flips(service: Service, exchanged: Path, tmp_path: Path) -> None:
    found = report(replay(service, exchanged, "--json"))
    judge_flips(service, found["comparison"], 2, "Bag")
    ended = replay(service, exchanged, "--html", tmp_path / "report.html")
    assert ended.returncode == 0
    page = (tmp_path / "report.html").read_text()
    assert page.count("<figure>") == BAGS
    assert page.count("Judged: Bag") == 2
    assert len(re.findall(r'src="data:image/webp;base64,\w', page)) == BAGS
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_a_report_that_cannot_be_written_is_one_line(service: Service, tmp_path: Path) -> None:
    ended = replay(service, MLP, "--html", tmp_path / "missing/report.html")
    assert ended.returncode == 1
    assert ended.stderr.endswith("report.html: No such file or directory\n")


def stored_input(kind: str, content: bytes, bundle: Bundle) -> StoredInput:
    return StoredInput(Input(kind, content), bundle.input, 10**8)


def npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def test_a_tensor_is_given_to_its_model_as_it_is(bundle: Bundle) -> None:
    array = to_array(decode(BAG.read_bytes(), bundle.input, 10**8), bundle.input)
    stored = stored_input("tensor", npy(array[0]), bundle)
    assert np.array_equal(stored.array(bundle.input), array)


def test_a_tensor_becomes_an_image_for_another_model(bundle: Bundle, clothes: Classifier) -> None:
    spec = clothes.bundle.input
    image = PHOTOS / "hat.jpg"
    array = to_array(decode(image.read_bytes(), spec, 10**8), spec)
    stored = stored_input("tensor", npy(array[0]), clothes.bundle)
    assert stored.array(bundle.input).shape == (1, 28, 28, 1)
    assert stored.preview().startswith(b"RIFF")


def test_a_tensor_becomes_pixels_for_a_model_that_takes_them(clothes: Classifier) -> None:
    spec, pixels = (replace(clothes.bundle.input, type=type) for type in ("float32", "uint8"))
    image = decode((PHOTOS / "hat.jpg").read_bytes(), spec, 10**8)
    stored = StoredInput(Input("tensor", npy(to_array(image, spec)[0])), spec, 10**8)
    assert np.array_equal(stored.array(pixels), to_array(image, pixels))


def test_an_original_is_prepared_for_each_model(bundle: Bundle, clothes: Classifier) -> None:
    data = (PHOTOS / "hat.jpg").read_bytes()
    stored = stored_input("original", data, bundle)
    for spec in (bundle.input, clothes.bundle.input):
        assert np.array_equal(stored.array(spec), to_array(decode(data, spec, 10**8), spec))
    assert read_bundle(CLOTHES).input == clothes.bundle.input
