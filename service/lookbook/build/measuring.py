"""How often a Keras model is right with each pixel range. Tests: tests/unit/test_build.py."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookbook.build.loading import input_spec
from lookbook.build.scores import chosen, last_activation, predict
from lookbook.build.source import RANGES
from lookbook.model.preprocessing import to_array


class Measured(NamedTuple):
    """The labels (numbers) that a model gives to n images, and the true ones."""

    predicted: NDArray[np.int64]
    truth: NDArray[np.int64]

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.equal(self.predicted, self.truth)

    def __str__(self) -> str:
        return f"{100 * self.right.mean():.0f}% of {len(self.truth)} images right"


def measure(
    model: keras.Model, network: keras.Model, labeled: Sequence[tuple[Image.Image, int]], resize: str
) -> dict[str, Measured]:
    """What `network`, the model for one image, predicts in each range that the input of `model` can represent."""
    truth, found = np.array([number for _, number in labeled]), {}
    for pixels in ("0..255",) if "int" in model.inputs[0].dtype else RANGES:
        spec = input_spec(model, pixels, resize)
        outputs = predict(network, [to_array(image, spec) for image, _ in labeled])
        found[pixels] = Measured(chosen(outputs, last_activation(model)), truth)
    return found


def likely(measured: Mapping[str, Measured]) -> list[str]:
    """The range that is right most often, and those that may be worse only by chance; none if all may be chance."""
    if not measured:
        return []
    best = max(measured, key=lambda pixels: measured[pixels].right.sum())
    chosen = measured[best]
    # A model that always gives the same label is right as often as the images show it.
    if len(set(chosen.predicted[chosen.right])) < 2:
        return []
    others = [pixels for pixels, other in measured.items() if pixels != best and not _beats(chosen.right, other.right)]
    return [best, *others]


def _beats(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> bool:
    """A sign test over the images where only one is right: a difference of two standard deviations."""
    won, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return won > lost and (won - lost) ** 2 >= 4 * (won + lost)
