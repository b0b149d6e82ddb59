import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lookbook.model.bundle import Bundle, BundleError, read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.preprocessing import preprocess

from tests.support.places import BAG, MLP, PHOTOS, UINT8


def test_scores_are_probabilities_and_the_top_three_are_in_order(classifier: Classifier) -> None:
    scores = classifier.classify(preprocess(BAG.read_bytes(), classifier.bundle.input, 10**6))
    assert scores.shape == (10,)
    assert float(scores.sum()) == pytest.approx(1, abs=1e-4)
    top = classifier.top(scores)
    assert top[0][0] == "Bag"
    assert [score for _, score in top] == sorted((score for _, score in top), reverse=True)


def test_threads_get_the_same_scores_as_a_single_one(bundle: Bundle) -> None:
    classifier = Classifier(bundle, interpreters=2)
    arrays = [np.full((1, 28, 28, 1), i / 16, np.float32) for i in range(16)]
    alone = [classifier.classify(array) for array in arrays]
    together: dict[int, np.ndarray] = {}

    def run(i: int) -> None:
        for _ in range(50):
            together[i] = classifier.classify(arrays[i])

    threads = [threading.Thread(target=run, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(alone[i], together[i]) for i in range(16))


def fewer_labels(manifest: dict[str, Any]) -> None:
    manifest["labels"].pop()
    for golden in manifest["golden"]:
        golden["scores"].pop()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["input"].update(size=[32, 32]), "its input is .* but the manifest says float32 .1, 32, 32, 1."),
        (lambda m: m["input"].update(color="rgb", mean=[0] * 3, std=[1] * 3), "its input is"),
        (fewer_labels, "its output is .* but the manifest says float32 .1, 9."),
        (lambda m: m["golden"][0]["scores"].reverse(), "the model's score for this golden image differs by"),
        (
            lambda m: m["golden"][0].update(scores=[float("nan")] * 10),
            "the model's score for this golden image differs by nan",
        ),
    ],
)
def test_a_bundle_that_contradicts_its_model_is_refused(
    altered: Callable[..., Path], change: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        Classifier(read_bundle(altered(change)))


@pytest.mark.parametrize(
    ("source", "change", "message"),
    [
        (MLP, {"type": "uint8"}, "its input is float32 (1, 28, 28, 1), but the manifest says uint8 (1, 28, 28, 1)"),
        (UINT8, {"type": "float32"}, "its input is uint8 (1, 8, 8, 3), but the manifest says float32 (1, 8, 8, 3)"),
        (
            UINT8,
            {"mean": [0] * 3, "std": [1] * 3},
            "(pixel - 127) * 0.00784314, but the manifest says (pixel / 255 - 0) / 1",
        ),
        (UINT8, {"std": [0.5, 0.5, 0.505]}, "but the manifest says (pixel / 255 - 0.5) / 0.505"),
    ],
)
def test_a_model_must_take_what_the_manifest_says(
    altered: Callable[..., Path], source: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleError) as caught:
        Classifier(read_bundle(altered(lambda manifest: manifest["input"].update(change), source)))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_of_pixels_must_give_its_golden_scores(altered: Callable[..., Path]) -> None:
    with pytest.raises(BundleError, match="the model's score for this golden image differs by"):
        Classifier(read_bundle(altered(lambda manifest: manifest["golden"][0]["scores"].reverse(), UINT8)))


@pytest.mark.parametrize(
    ("photo", "label"), [("shirt.jpg", "Shirt"), ("trousers.jpg", "Trouser"), ("dress.jpg", "Dress")]
)
def test_the_default_model_recognizes_photographs(clothes: Classifier, photo: str, label: str) -> None:
    scores = clothes.classify(preprocess((PHOTOS / photo).read_bytes(), clothes.bundle.input, 10**6))
    assert clothes.top(scores)[0][0] == label


def test_the_default_model_recognizes_drawings(clothes: Classifier) -> None:
    scores = clothes.classify(preprocess(BAG.read_bytes(), clothes.bundle.input, 10**6))
    assert clothes.top(scores)[0][0] == "Bag"
