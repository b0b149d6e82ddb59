import io
from pathlib import Path

import numpy as np
import pytest
from lookbook.model.bundle import InputSpec
from lookbook.model.inference import Classifier
from lookbook.model.inputs import encode_pixels, encode_tensor
from lookbook.model.preprocessing import preprocess, to_array
from PIL import Image

from tests.support.places import PHOTOS

LIMIT = 25_000_000


@pytest.mark.parametrize("path", sorted(PHOTOS.glob("*.jpg")), ids=lambda path: path.stem)
def test_kept_pixels_give_equal_scores(clothes: Classifier, path: Path) -> None:
    spec = clothes.bundle.input
    array = preprocess(path.read_bytes(), spec, LIMIT)
    again = preprocess(encode_pixels(array, spec), spec, LIMIT)
    assert np.array_equal(again, array)
    assert np.array_equal(clothes.classify(again), clothes.classify(array))


@pytest.mark.parametrize("type", ["float32", "uint8"])
@pytest.mark.parametrize("color", ["rgb", "grayscale"])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.5, 0.5), (0.485, 0.229), (0.0, 1 / 255), (0.4, 1e-3)])
def test_every_pixel_is_kept(type: str, color: str, mean: float, std: float) -> None:
    channels = 3 if color == "rgb" else 1
    spec = InputSpec(16, 16, color, "stretch", (0, 0, 0), (mean,) * channels, (std,) * channels, type)
    pixels = np.arange(256 * channels, dtype=np.uint8).reshape(16, 16, channels)
    array = to_array(Image.fromarray(pixels.squeeze()), spec)
    kept = Image.open(io.BytesIO(encode_pixels(array, spec)))
    assert np.array_equal(np.asarray(kept), pixels.squeeze())


def test_a_tensor_is_kept_with_every_bit() -> None:
    array = np.random.default_rng(1).normal(size=(1, 4, 4, 3)).astype(np.float32)
    kept = np.load(io.BytesIO(encode_tensor(array)), allow_pickle=False)
    assert kept.dtype == np.float32
    assert np.array_equal(kept, array[0])
