"""The networks: Keras 3 layers only, so that any of its backends can train them."""

import keras
from keras import layers, ops

from service.bundle import InputSpec


def residual(spec: InputSpec, labels: int) -> keras.Model:
    """A small residual network: (n, height, width, channels) -> logits (n, labels)."""
    inputs = keras.Input((spec.height, spec.width, spec.channels))
    x = _conv(inputs, 32, stride=2)
    x = _block(x, 32)
    for width, blocks in ((64, 1), (128, 2), (224, 1)):
        x = _conv(x, width, stride=2)
        for _ in range(blocks):
            x = _block(x, width)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(labels)(x))


def perceptron(spec: InputSpec, labels: int) -> keras.Model:
    """The classic 784-128-10 network, 101,770 parameters, to logits (n, labels)."""
    inputs = keras.Input((spec.height, spec.width, spec.channels))
    x = layers.Flatten()(inputs)
    x = layers.Dense(128, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(labels)(x))


def calibrated(network: keras.Model, temperature: float) -> keras.Model:
    """`network` with scores for logits: softmax(logits / temperature), (n, labels)."""
    inputs = keras.Input(network.input_shape[1:])
    logits = layers.Rescaling(1 / temperature)(network(inputs))
    return keras.Model(inputs, layers.Softmax()(logits))


def loss(smoothing: float):
    """Cross-entropy where several labels may be right, with label smoothing.

    y_true: 1 for each label that is right, (n, labels); y_pred: logits (n, labels).
    """

    def function(y_true, y_pred):
        every = ops.logsumexp(y_pred, axis=-1)
        right = ops.logsumexp(ops.where(y_true > 0, y_pred, -1e9), axis=-1)
        return (1 - smoothing) * (every - right) + smoothing * (every - ops.mean(y_pred, axis=-1))

    return function


def one_of_accuracy(y_true, y_pred):
    """Share of pictures whose best label is one of the right ones."""
    return ops.max(y_true * ops.one_hot(ops.argmax(y_pred, axis=-1), y_true.shape[-1]), axis=-1)


def _conv(x, width: int, stride: int = 1):
    x = layers.Conv2D(width, 3, stride, "same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


def _block(x, width: int):
    y = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
    y = layers.BatchNormalization()(y)
    return layers.ReLU()(layers.Add()([x, y]))
