from dataclasses import replace

import numpy as np
import pytest
from lookbook.model.bundle import InputSpec, read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.preprocessing import preprocess, to_array, to_pixels
from PIL import Image

from tests.support.image_formats import formats
from tests.support.images import encoded
from tests.support.places import BAG, PHOTOS, ROOT

SPEC = InputSpec(32, 32, "rgb", "pad", (255, 255, 255), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
LIMIT = 25_000_000


@pytest.fixture(scope="module")
def smooth() -> Classifier:
    """A model in floating point: in integers, one step of a pixel can move a score by more than this test allows."""
    return Classifier(read_bundle(ROOT / "models/lookbook-clothes/2.2.0"))


@pytest.mark.parametrize("format", formats(Image.new("RGB", (8, 8))))
def test_an_unusual_format_gets_the_scores_of_the_plain_image(smooth: Classifier, format: str) -> None:
    for path in sorted(PHOTOS.glob("*.jpg"))[:6]:
        unusual, plain = formats(Image.open(path))[format]
        scores, expected = (smooth.classify(preprocess(data, smooth.bundle.input, LIMIT)) for data in (unusual, plain))
        best = int(expected.argmax())
        assert abs(scores[best] - expected[best]) < 0.02, f"{format} of {path.name}"
        assert int(scores.argmax()) == best or expected.max() - np.sort(expected)[-2] < 0.02


def test_a_drawing_keeps_every_bit(classifier: Classifier) -> None:
    array = preprocess(BAG.read_bytes(), classifier.bundle.input, LIMIT)
    assert array.dtype == np.float32
    assert np.array_equal(np.rint(array[0, :, :, 0] * 255).astype(np.uint8), np.asarray(Image.open(BAG)))


@pytest.mark.parametrize("resize", ["pad", "stretch", "crop"])
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (31, 33), (32, 32), (400, 300)])
@pytest.mark.parametrize("color", ["rgb", "grayscale"])
def test_every_shape_fits(resize: str, size: tuple[int, int], color: str) -> None:
    channels = 3 if color == "rgb" else 1
    spec = InputSpec(32, 24, color, resize, (255, 255, 255), (0.5,) * channels, (0.5,) * channels)
    array = preprocess(encoded(Image.new("RGB", size, (0, 0, 0))), spec, LIMIT)
    assert array.shape == (1, 32, 24, channels)
    assert float(array.min()) == -1
    assert float(array.max()) == (1 if resize == "pad" and size[0] * 32 != size[1] * 24 else -1)


def test_padding_centers_the_image() -> None:
    array = to_array(Image.new("RGB", (16, 32)), SPEC)[0, :, :, 0]
    assert array[:, :8].min() == 1
    assert array[:, 8:24].max() == 0
    assert array[:, 24:].min() == 1


@pytest.mark.parametrize("resize", ["pad", "stretch", "crop"])
@pytest.mark.parametrize("color", ["rgb", "grayscale"])
def test_a_model_of_pixels_gets_those_that_are_normalized_for_others(resize: str, color: str) -> None:
    channels = 3 if color == "rgb" else 1
    spec = InputSpec(32, 24, color, resize, (255, 255, 255), (0.5,) * channels, (0.5,) * channels)
    for path in sorted(PHOTOS.glob("*.jpg"))[:3]:
        normalized = preprocess(path.read_bytes(), spec, LIMIT)
        pixels = preprocess(path.read_bytes(), replace(spec, type="uint8"), LIMIT)
        assert pixels.dtype == np.uint8
        assert pixels.shape == (1, 32, 24, channels)
        assert np.array_equal(pixels[0].squeeze(), np.asarray(to_pixels(normalized[0], spec)))


def test_pixels_are_not_copied_once_more() -> None:
    array = to_array(Image.new("RGB", (32, 32)), replace(SPEC, type="uint8"))
    # It can't be changed only if it is the bytes that Pillow returned.
    assert not array.flags.writeable
