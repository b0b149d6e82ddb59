"""The networks: Keras 3 layers only, so that any of its backends can train them."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from lookbook.model.bundle import InputSpec
from numpy.typing import NDArray

# EfficientNet-Lite0's blocks: kernel, stride of the first, expansion, width, how many. The last of 192 and all of 320
# are left out: at 96 pixels they see the whole picture anyway, and would be half of the parameters.
# Source: https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite/efficientnet_lite_builder.py
BLOCKS = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 3),
)
_EPSILON = 1e-3


def lite(spec: InputSpec, labels: int) -> keras.Model:
    """EfficientNet-Lite0 without its tail: (n, height, width, 3) -> logits (n, labels).

    Batch normalisation is part of the convolutions: frozen, as in much fine-tuning, it makes a step half as long.
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
    """Fill what `lite` made with PyTorch's weights of EfficientNet-Lite0; the last layer stays as it is."""
    for layer in network.layers:
        if layer.name == "stem":
            layer.set_weights(_folded(weights, "_conv_stem", "_bn0"))
        elif layer.name.startswith("block"):
            block, part = layer.name.split("_", 1)
            norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
            prefix = f"_blocks.{block.removeprefix('block')}."
            layer.set_weights(_folded(weights, f"{prefix}_{part}_conv", prefix + norm, part == "depthwise"))


def _folded(
    weights: Mapping[str, NDArray[Any]], convolution: str, norm: str, depthwise: bool = False
) -> list[NDArray[Any]]:
    """Keras' kernel and bias of a convolution and the batch normalisation behind it."""
    kernel, scale = weights[f"{convolution}.weight"], weights[f"{norm}.weight"]
    scale = scale / np.sqrt(weights[f"{norm}.running_var"] + _EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    # From (out, in, height, width), which is (channels, 1, height, width) in a depthwise one.
    kernel = (kernel * scale[:, None, None, None]).transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    return [kernel, bias]


def _block(x, number: int, kernel: int, stride: int, expansion: int, width: int):
    y = x
    if expansion > 1:
        y = layers.ReLU(6)(layers.Conv2D(x.shape[-1] * expansion, 1, name=f"block{number}_expand")(y))
    y = layers.ReLU(6)(layers.DepthwiseConv2D(kernel, stride, "same", name=f"block{number}_depthwise")(y))
    y = layers.Conv2D(width, 1, name=f"block{number}_project")(y)
    return layers.Add()([x, y]) if x.shape == y.shape else y


def perceptron(spec: InputSpec, labels: int) -> keras.Model:
    """The classic 784-128-10 network, 101,770 parameters, to logits (n, labels)."""
    inputs = keras.Input((spec.height, spec.width, spec.channels))
    x = layers.Flatten()(inputs)
    x = layers.Dense(128, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(labels)(x))


def both_ways(network: keras.Model) -> keras.Model:
    """`network` that looks at the picture and at its mirror image: the mean of their logits, (n, labels)."""
    inputs = keras.Input(network.input_shape[1:])
    # As one batch: a third faster in LiteRT than one after the other.
    both = network(ops.concatenate([inputs, ops.flip(inputs, axis=2)]))
    return keras.Model(inputs, layers.Average()(ops.split(both, 2)))


def average(networks: Sequence[keras.Model]) -> list[NDArray[Any]]:
    """The mean of each weight of networks alike, which were trained from the same start.

    Source: Wortsman et al., Model soups, 2022.
    """
    return [np.mean(values, axis=0) for values in zip(*(each.get_weights() for each in networks), strict=True)]


def calibrated(network: keras.Model, temperature: float) -> keras.Model:
    """`network` with scores for logits: softmax(logits / temperature), (n, labels)."""
    inputs = keras.Input(network.input_shape[1:])
    logits = layers.Rescaling(1 / temperature)(network(inputs))
    return keras.Model(inputs, layers.Softmax()(logits))


def loss(smoothing: float):
    """Cross-entropy where several labels may be right, with label smoothing, or none: then equal scores are.

    y_true: 1 for each label that is right, (n, labels); y_pred: logits (n, labels).
    """

    def function(y_true, y_pred):
        every = ops.logsumexp(y_pred, axis=-1)
        right = ops.logsumexp(ops.where(y_true > 0, y_pred, -1e9), axis=-1)
        weight = ops.where(ops.max(y_true, axis=-1) > 0, smoothing, 1.0)
        return (1 - weight) * (every - right) + weight * (every - ops.mean(y_pred, axis=-1))

    return function


def one_of_accuracy(y_true, y_pred):
    """Share of pictures whose best label is one of the right ones."""
    return ops.max(y_true * ops.one_hot(ops.argmax(y_pred, axis=-1), y_true.shape[-1]), axis=-1)
