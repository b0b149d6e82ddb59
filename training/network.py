"""The networks: Keras 3 layers only, so that any of its backends can train them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from lookbook.model.bundle import InputSpec
from numpy.typing import NDArray

# EfficientNet-Lite0's blocks: kernel, stride of the first, expansion, width, repeats.
# Source: https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite/efficientnet_lite_builder.py
BLOCKS = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_EPSILON = 1e-3


def lite(spec: InputSpec, labels: int) -> keras.Model:
    """EfficientNet-Lite0 without its last convolution: (n, height, width, 3) -> logits (n, labels).

    Batch normalization is frozen into the convolutions, which almost halves the time of a training step.
    """
    inputs = keras.Input((spec.height, spec.width, spec.channels))
    x = layers.ReLU(6)(layers.Conv2D(32, 3, 2, "same", name="stem")(inputs))
    number = 0
    for kernel, stride, expansion, width, repeats in BLOCKS:
        for repeat in range(repeats):
            x = _block(x, number, kernel, stride if repeat == 0 else 1, expansion, width)
            number += 1
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(labels)(x))


def load_pretrained(network: keras.Model, weights: Mapping[str, NDArray[Any]]) -> None:
    """Load PyTorch's weights of EfficientNet-Lite0 into a network made by `lite`, except for the last layer."""
    for layer in network.layers:
        if layer.name == "stem":
            layer.set_weights(_folded(weights, "_conv_stem", "_bn0"))
        elif layer.name.startswith("block"):
            block, part = layer.name.split("_", 1)
            norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
            prefix = f"_blocks.{block.removeprefix('block')}."
            layer.set_weights(_folded(weights, f"{prefix}_{part}_conv", prefix + norm, part == "depthwise"))


def freeze(network: keras.Model, blocks: int) -> None:
    """Keep the first `blocks`, and the stem before them, as they are; 0 keeps nothing."""
    kept = tuple(f"block{number}_" for number in range(blocks))
    for layer in network.layers:
        layer.trainable = not (blocks and (layer.name == "stem" or layer.name.startswith(kept)))


def _folded(
    weights: Mapping[str, NDArray[Any]], convolution: str, norm: str, depthwise: bool = False
) -> list[NDArray[Any]]:
    """Keras's kernel and bias for a convolution and the batch normalization after it."""
    kernel, scale = weights[f"{convolution}.weight"], weights[f"{norm}.weight"]
    scale = scale / np.sqrt(weights[f"{norm}.running_var"] + _EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    # PyTorch has (out, in, height, width), or (channels, 1, height, width) if depthwise.
    kernel = (kernel * scale[:, None, None, None]).transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    return [kernel, bias]


def _block(x: Any, number: int, kernel: int, stride: int, expansion: int, width: int) -> Any:
    y = x
    if expansion > 1:
        y = layers.ReLU(6)(layers.Conv2D(x.shape[-1] * expansion, 1, name=f"block{number}_expand")(y))
    y = layers.ReLU(6)(layers.DepthwiseConv2D(kernel, stride, "same", name=f"block{number}_depthwise")(y))
    y = layers.Conv2D(width, 1, name=f"block{number}_project")(y)
    return layers.Add()([x, y]) if x.shape == y.shape else y


def perceptron(spec: InputSpec, labels: int) -> keras.Model:
    """The classic network 784-128-10 with 101,770 parameters: (n, 28, 28, 1) -> logits (n, labels)."""
    inputs = keras.Input((spec.height, spec.width, spec.channels))
    x = layers.Flatten()(inputs)
    x = layers.Dense(128, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(labels)(x))


def average(networks: Sequence[keras.Model]) -> list[NDArray[Any]]:
    """The mean of each weight of equal networks that were trained from the same start.

    Source: Wortsman et al., Model soups, 2022.
    """
    return [np.mean(values, axis=0) for values in zip(*(each.get_weights() for each in networks), strict=True)]


def calibrated(network: keras.Model, temperature: float) -> keras.Model:
    """The network with calibrated scores instead of logits: softmax(logits / temperature), (n, labels)."""
    inputs = keras.Input(network.input_shape[1:])
    logits = layers.Rescaling(1 / temperature)(network(inputs))
    return keras.Model(inputs, layers.Softmax()(logits))


def loss(smoothing: float) -> Callable[[Any, Any], Any]:
    """Cross-entropy with label smoothing, for several right labels or none; if none, equal scores are right.

    y_true: 1 for each right label, (n, labels), or with a teacher's scores after them, (n, 2 * labels), which then
    count half; y_pred: logits (n, labels).
    """

    def function(y_true: Any, y_pred: Any) -> Any:
        labels = y_pred.shape[-1]
        if y_true.shape[-1] == labels:
            return labeled(y_true, y_pred)
        scores = y_true[:, labels:]
        taught = -ops.sum(scores * ops.log_softmax(y_pred, axis=-1), axis=-1)
        share = 0.5 * ops.sum(scores, axis=-1)
        return (1 - share) * labeled(y_true[:, :labels], y_pred) + 0.5 * taught

    def labeled(y_true: Any, y_pred: Any) -> Any:
        every = ops.logsumexp(y_pred, axis=-1)
        right = ops.logsumexp(ops.where(y_true > 0, y_pred, -1e9), axis=-1)
        weight = ops.where(ops.max(y_true, axis=-1) > 0, smoothing, 1.0)
        return (1 - weight) * (every - right) + weight * (every - ops.mean(y_pred, axis=-1))

    return function


def one_of_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 for each image whose best label is right, else 0: shape (n,)."""
    y_true = y_true[:, : y_pred.shape[-1]]
    return ops.max(y_true * ops.one_hot(ops.argmax(y_pred, axis=-1), y_true.shape[-1]), axis=-1)
