"""Keras models for test_build.py, saved by the Python of .venv-training: `python -m tests.support.keras_models DIR`."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import layers

from tests.support.shapes import LABELS, drawn

SHAPE = (32, 32, 3)


def trained() -> keras.Model:
    """A trained classifier of LABELS, from pixels of 0 to 255 to logits."""
    rng = np.random.default_rng(1)
    numbers = np.arange(900) % len(LABELS)
    images = np.stack([np.asarray(drawn(LABELS[number], SHAPE[0], rng)) for number in numbers])
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.RandomFlip(),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(len(LABELS)),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, numbers, epochs=15, batch_size=32, verbose=0)
    return model


def of(shape: tuple[int | None, ...], *middle: keras.Operation, activation: str | None = None) -> keras.Model:
    """An untrained classifier."""
    ends = layers.Flatten(), layers.Dense(len(LABELS), activation=activation)
    return keras.Sequential([keras.Input(shape), *middle, *ends])


def half() -> keras.Model:
    keras.mixed_precision.set_global_policy("mixed_float16")
    model = of(SHAPE, layers.Rescaling(1 / 255), layers.Conv2D(4, 3))
    keras.mixed_precision.set_global_policy("float32")
    return model


def whole() -> keras.Model:
    inputs = keras.Input(SHAPE, dtype="uint8")
    scores = layers.Dense(len(LABELS))(layers.Flatten()(keras.ops.cast(inputs, "float32")))
    return keras.Model(inputs, scores)


def dividing() -> keras.Model:
    inputs = keras.Input(SHAPE)
    scaled = keras.applications.mobilenet_v2.preprocess_input(inputs)
    outputs = layers.Dense(len(LABELS))(layers.GlobalAveragePooling2D()(scaled))
    return keras.Model({"image": inputs}, {"scores": outputs})


def inverse_error() -> keras.Model:
    inputs = keras.Input(SHAPE)
    small = layers.Rescaling(0.5)(layers.Flatten()(inputs))
    return keras.Model(inputs, layers.Dense(len(LABELS))(keras.ops.erfinv(small)))


def two_inputs() -> keras.Model:
    inputs = [keras.Input(SHAPE), keras.Input(SHAPE)]
    return keras.Model(inputs, layers.Dense(len(LABELS))(layers.Flatten()(layers.Add()(inputs))))


def two_outputs() -> keras.Model:
    inputs = keras.Input(SHAPE)
    flat = layers.Flatten()(inputs)
    return keras.Model(inputs, [layers.Dense(len(LABELS))(flat), layers.Dense(1)(flat)])


class Own(layers.Layer):  # type: ignore[misc]  # Keras is not installed where mypy runs
    def call(self, x: Any) -> Any:
        return x


def twice(x: Any) -> Any:
    return x * 2


MODELS: dict[str, Callable[[], keras.Model]] = {
    "trained": trained,
    "softmax": lambda: of((28, 28, 1), activation="softmax"),
    "flat": lambda: of((28, 28), layers.Rescaling(2.0, offset=-1)),
    "half": half,
    "dividing": dividing,
    "whole": whole,
    "sigmoid": lambda: of(SHAPE, activation="sigmoid"),
    "lambda": lambda: of(SHAPE, layers.Lambda(lambda x: x * 2)),
    "function": lambda: of(SHAPE, layers.Lambda(twice)),
    "own": lambda: of(SHAPE, Own()),
    "operator": inverse_error,
    "two-inputs": two_inputs,
    "two-outputs": two_outputs,
    "vector": lambda: of((10,)),
    "any-size": lambda: keras.Sequential([keras.Input((None, None, 3)), layers.GlobalAveragePooling2D()]),
    "map": lambda: keras.Sequential([keras.Input(SHAPE), layers.Conv2D(3, 1)]),
}


if __name__ == "__main__":
    keras.utils.set_random_seed(1)
    for name, make in MODELS.items():
        make().save(Path(sys.argv[1], f"{name}.keras"))
