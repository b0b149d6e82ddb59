"""The scores of a Keras model: softmax, or logits that become softmax; one sigmoid makes two labels.

Tests: tests/unit/test_build.py.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from lookbook.model.bundle import BundleError
from lookbook.model.quiet import quiet


def predict(network: keras.Model, arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The network's outputs (n, labels) for n arrays of shape (1, height, width, channels)."""
    with quiet():
        return np.concatenate([ops.convert_to_numpy(network(array, training=False)) for array in arrays])


def chosen(outputs: NDArray[np.float32], activation: str) -> NDArray[np.int64]:
    """The number of the best label for each of n outputs (n, 1 or labels)."""
    if outputs.shape[1] > 1:
        return np.asarray(outputs.argmax(axis=1))
    return np.asarray(outputs[:, 0] > (0 if activation == "linear" else 0.5), np.int64)


def with_scores(
    network: keras.Model, arrays: Sequence[NDArray[np.float32]], activation: str
) -> tuple[keras.Model, str]:
    """The network with one score per label as its output, and what its output was.

    That is decided by its outputs for `arrays` and by its last activation. Raises BundleError.
    """
    outputs = predict(network, arrays)
    if not np.isfinite(outputs).all():
        raise BundleError("the model returns infinite or undefined numbers for the sample images")
    fractions = outputs.min() >= 0 and outputs.max() <= 1 and activation != "linear"
    if outputs.shape[1] == 1:
        if activation == "softmax" or not (fractions or activation == "linear"):
            raise BundleError("the model's one output is neither a sigmoid nor a logit: two labels need one of these")
        return _with_two(network, logit=not fractions)
    if activation != "sigmoid" and outputs.min() >= 0 and np.allclose(outputs.sum(axis=1), 1, atol=0.01):
        return network, "softmax scores"
    if fractions:
        raise BundleError(
            "the model's outputs are between 0 and 1 but do not sum to 1, as if several labels could be right: "
            "it must end in softmax or logits, not in several sigmoids"
        )
    return keras.Model(network.input, layers.Softmax()(network.output)), "logits; a softmax was added"


def _with_two(network: keras.Model, *, logit: bool) -> tuple[keras.Model, str]:
    """The network with the scores 1 - p and p, where its output is p or the logit of p."""
    second = ops.sigmoid(network.output) if logit else network.output
    scores = ops.concatenate([1 - second, second], axis=-1)
    said = "one logit; a sigmoid was added" if logit else "one sigmoid"
    return keras.Model(network.input, scores), f"{said}; it scores the second label"


def last_activation(model: keras.Model) -> str:
    """The name of the activation that makes the model's output; "linear" if there is none, "" if it is not known."""
    operation, node, _ = model.outputs[0]._keras_history
    while not isinstance(operation, layers.InputLayer):
        if isinstance(operation, keras.Model):
            return last_activation(operation)
        function = getattr(operation, "activation", None)
        name = getattr(function, "__name__", type(operation).__name__.lower())
        if getattr(operation, "weights", None):
            return name if function else ""
        if name not in ("linear", "identity", "cast", "dropout", "reshape", "flatten"):
            return name
        operation, node, _ = operation._inbound_nodes[node].input_tensors[0]._keras_history
    return ""
