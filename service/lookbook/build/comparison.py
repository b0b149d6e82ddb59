"""A bundle compared with its Keras model. Tests: tests/unit/test_build.py."""

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from lookbook.build.scores import predict
from lookbook.model.bundle import BundleError
from lookbook.model.inference import TOLERANCE, Classifier


def compare(classifier: Classifier, network: keras.Model, arrays: Sequence[NDArray[np.float32]]) -> str:
    """How well the bundle agrees with Keras, in one line. Raises BundleError if scores are off by over TOLERANCE."""
    theirs = predict(network, arrays)
    ours = np.stack([classifier.classify(array) for array in arrays])
    off = float(np.abs(ours - theirs).max())
    if not off <= TOLERANCE:
        raise BundleError(
            f"LiteRT's scores differ from Keras's by {off:.3f}, more than {TOLERANCE}: compare with other images "
            "(--images), or check for layers that LiteRT computes differently"
        )
    same = int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum())
    return f"compared with Keras: same label for {same} of {len(arrays)} images, scores differ by at most {off:.4f}"
