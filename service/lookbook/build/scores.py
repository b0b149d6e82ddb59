"""The scores of a Keras model: softmax, or logits that become softmax. Tests: tests/unit/test_build.py."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from lookbook.model.bundle import BundleError
from lookbook.model.quiet import quiet


def predict(network: keras.Model, arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The network's outputs (n, labels) for n arrays of shape (1, height, width, channels)."""
    with quiet():
        return np.concatenate([keras.ops.convert_to_numpy(network(array, training=False)) for array in arrays])


def with_softmax(
    network: keras.Model, arrays: Sequence[NDArray[np.float32]], *, linear: bool
) -> tuple[keras.Model, str]:
    """The network with scores as its output, and what its output was.

    That is decided by its outputs for `arrays`; `linear` decides if they could be either. Raises BundleError.
    """
    outputs = predict(network, arrays)
    if not np.isfinite(outputs).all():
        raise BundleError("the model returns infinite or undefined numbers")
    if outputs.min() >= 0 and np.allclose(outputs.sum(axis=1), 1, atol=0.01):
        return network, "softmax scores"
    if outputs.min() >= 0 and outputs.max() <= 1 and not linear:
        raise BundleError(
            "the model's outputs are between 0 and 1 but do not sum to 1: it must end in softmax or logits, not sigmoid"
        )
    return keras.Model(network.input, layers.Softmax()(network.output)), "logits; a softmax was added"


def ends_linearly(model: keras.Model) -> bool:
    """Whether the last layer states that it has no activation."""
    last = model.layers[-1]
    if isinstance(last, keras.Model):
        return ends_linearly(last)
    return getattr(last, "activation", None) is keras.activations.linear
