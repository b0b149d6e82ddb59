"""Keras models for test_build.py, saved by the Python of .venv-training: `python -m tests.support.keras_models FOLDER`.

`python -m tests.support.keras_models` prints the pixel range that is traced in each of SCALINGS, as JSON.
"""

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import applications, layers, ops

from tests.support.shapes import LABELS, drawn

SHAPE = (32, 32, 3)


@functools.cache
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


def absorbing(factor: Any, shift: Any, order: slice = slice(None)) -> keras.Model:
    """The trained classifier for pixels y of which `factor * y + shift` is what its Rescaling gives."""
    inputs = keras.Input(SHAPE)
    first, *others = trained().layers[2:]
    conv = layers.Conv2D(16, 3, strides=2, activation="relu")
    outputs = conv(inputs)
    kernel, bias = first.get_weights()
    kernel = kernel[:, :, order]
    factors, shifts = (np.broadcast_to(each, 3)[:, None] for each in (factor, shift))
    conv.set_weights([kernel * factors, bias + (kernel * shifts).sum(axis=(0, 1, 2))])
    for layer in others:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def behind(scale: Callable[[Any], Any], network: keras.Model) -> keras.Model:
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, network(scale(inputs)))


def caffe() -> keras.Model:
    means = np.array([103.939, 116.779, 123.68])
    swapped = absorbing(1 / 127.5, means / 127.5 - 1, slice(None, None, -1))
    return behind(applications.resnet50.preprocess_input, swapped)


def augmentation() -> keras.Model:
    return keras.Sequential([keras.Input(SHAPE), layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])


def tutorial() -> keras.Model:
    """As https://www.tensorflow.org/tutorials/images/classification, with the augmentation in a model of its own."""
    resized = keras.Sequential([layers.Resizing(*SHAPE[:2]), layers.Rescaling(1 / 255)])
    return keras.Sequential([augmentation(), resized, absorbing(2, -1)])


def one_sigmoid(activation: str | None = "sigmoid") -> keras.Model:
    """The trained classifier of the first two labels."""
    kernel, bias = trained().layers[-1].get_weights()
    dense = layers.Dense(1, activation=activation)
    model = keras.Sequential([keras.Input(SHAPE), *trained().layers[1:-1], dense])
    dense.set_weights([kernel[:, 1:2] - kernel[:, :1], bias[1:2] - bias[:1]])
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
    "tutorial": tutorial,
    "caffe": caffe,
    "fractions": lambda: absorbing(2, -1),
    "bytes": lambda: absorbing(1 / 127.5, -1),
    "one-sigmoid": one_sigmoid,
    "one-logit": lambda: one_sigmoid(activation=None),
    "one-tanh": lambda: one_sigmoid(activation="tanh"),
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


def front(scale: Callable[[Any], Any], shape: tuple[int, ...] = SHAPE) -> Callable[[], keras.Model]:
    """An untrained classifier after layers and operations."""

    def make() -> keras.Model:
        inputs = keras.Input(shape)
        return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(scale(inputs))))

    return make


def convolved(x: Any) -> Any:
    return layers.Conv2D(2, 3)(x)


def adapted(low: float, high: float, **options: Any) -> layers.Layer:
    """A Normalization of images from black (low) to white (high)."""
    layer = layers.Normalization(**options)
    images = np.random.default_rng(2).normal(0.47, 0.24, (20, *SHAPE)).clip(0, 1)
    layer.adapt(low + (high - low) * images)
    return layer


def batches(factor: float, steps: int = 300) -> layers.Layer:
    """A BatchNormalization as it is after training on pixels from 0 to 255 times the factor."""
    layer = layers.BatchNormalization()
    layer.build((None, *SHAPE))
    left = 0.99**steps
    layer.moving_mean.assign(np.full(3, 120 * factor * (1 - left)))
    layer.moving_variance.assign(np.full(3, left + (60 * factor) ** 2 * (1 - left)))
    return layer


def each_channel(x: Any, means: tuple[float, ...], deviations: tuple[float, ...]) -> Any:
    parts = ops.split(x, 3, axis=-1)
    return ops.concatenate(
        [(part - mean) / deviation for part, mean, deviation in zip(parts, means, deviations, strict=True)], axis=-1
    )


def standardized(x: Any) -> Any:
    axes: dict[str, Any] = {"axis": (1, 2, 3), "keepdims": True}
    return (x - ops.mean(x, **axes)) / ops.std(x, **axes)


def sequence(*steps: layers.Layer) -> keras.Model:
    return keras.Sequential(list(steps))


IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BYTES = np.array([123.7, 116.8, 103.9], np.float32)

# What the model does to pixels, by the range that it must have been trained with; "" if that cannot be told.
SCALINGS: dict[str, dict[str, Callable[[], keras.Model]]] = {
    "0..255": {
        "augmentation": front(lambda x: layers.Rescaling(1 / 255)(augmentation()(x))),
        "nested": front(sequence(augmentation(), sequence(layers.Resizing(16, 16), layers.Rescaling(1 / 255)))),
        "cropped": front(sequence(layers.CenterCrop(24, 24), layers.RandomCrop(20, 20), layers.Rescaling(1 / 255))),
        "unchanged": front(
            sequence(
                layers.GaussianNoise(0.1), layers.Dropout(0.1), layers.Activation("linear"), layers.Rescaling(1 / 255)
            )
        ),
        "augmented": front(
            sequence(
                layers.RandomBrightness(0.2),
                layers.RandomContrast(0.2),
                layers.RandomZoom(0.1),
                layers.Rescaling(1 / 255),
            )
        ),
        "padded": front(sequence(layers.ZeroPadding2D(2), layers.Rescaling(1 / 127.5, -1))),
        "pipeline": front(layers.Pipeline([layers.RandomFlip(), layers.Rescaling(1 / 127.5, -1)])),
        "channels": front(layers.Rescaling([1 / 58, 1 / 57, 1 / 57], [-2.1, -2.0, -1.8])),
        "tf": front(lambda x: convolved(applications.mobilenet_v2.preprocess_input(augmentation()(x)))),
        "caffe": front(applications.resnet50.preprocess_input),
        "torch": front(applications.densenet.preprocess_input),
        "cast": front(lambda x: ops.cast(x, "float32") / 255.0),
        "half": front(lambda x: ops.cast((ops.cast(x, "float16") - 127.5) / 127.5, "float32")),
        "multiplied": front(lambda x: x * (1 / 255)),
        "from the left": front(lambda x: (1 / 255) * x),
        "minus": front(lambda x: (x - 127.5) / 127.5),
        "negative": front(lambda x: 255 - x),
        "swapped": front(lambda x: x[..., ::-1] - BYTES[::-1]),
        "taken": front(lambda x: ops.take(x, [2, 1, 0], axis=-1) / 255),
        "split": front(lambda x: each_channel(x, (123.7, 116.8, 103.9), (58.4, 57.1, 57.4))),
        "grayscale": front(lambda x: ops.image.rgb_to_grayscale(x) / 255),
        "tripled": front(lambda x: ops.concatenate([x, x, x], axis=-1) / 255, (32, 32, 1)),
        "flattened": front(lambda x: layers.Flatten()(x) / 255),
        "transposed": front(lambda x: ops.transpose(x, (0, 3, 1, 2)) / 255),
        "branches": front(lambda x: ops.concatenate([convolved(x / 255), convolved(x / 127.5 - 1)], axis=-1)),
        "statistics": front(adapted(0, 255)),
        "pixel by pixel": front(adapted(0, 255, axis=(1, 2, 3))),
        "batches": front(lambda x: convolved(batches(1)(x))),
        "scaled batches": front(lambda x: convolved(batches(1 / 255)(x / 255))),
        "twice": front(sequence(layers.Rescaling(1 / 255), layers.Rescaling(1 / 255))),
        "limited": front(lambda x: ops.clip(x, 0, 255)),
        "own": lambda: applications.MobileNetV3Small(weights=None, input_shape=SHAPE, classes=2),
    },
    "0..1": {
        "minus and plus one": front(layers.Rescaling(2.0, -1.0)),
        "half less": front(lambda x: x - 0.5),
        "negative": front(lambda x: 1 - x),
        "imagenet": front(layers.Normalization(mean=IMAGENET[0], variance=np.square(IMAGENET[1]))),
        "split": front(lambda x: each_channel(x, *IMAGENET)),
        "digits": front(layers.Normalization(mean=0.1307, variance=0.3081**2), (28, 28, 1)),
        "statistics": front(adapted(0, 1)),
        "to bytes": front(sequence(layers.Rescaling(255), layers.Rescaling(1 / 255))),
        "to caffe": front(lambda x: applications.resnet50.preprocess_input(x * 255.0)),
        "limited": front(lambda x: ops.clip(x, 0, 1)),
    },
    "-1..1": {
        "to fractions": front(layers.Rescaling(0.5, 0.5)),
        "to caffe": front(lambda x: applications.resnet50.preprocess_input((x + 1) * 127.5)),
        "statistics": front(adapted(-1, 1)),
        "limited": front(lambda x: ops.clip(x, -1, 1)),
    },
    "": {
        "nothing": front(convolved),
        "augmentation": front(lambda x: convolved(augmentation()(x))),
        "swapped": front(lambda x: convolved(x[..., ::-1])),
        "halved": front(lambda x: x / 2),
        "each image": front(standardized),
        "layer": front(layers.LayerNormalization()),
        "fresh batches": front(lambda x: convolved(layers.BatchNormalization()(x))),
        "fractions in batches": front(lambda x: convolved(batches(1 / 255)(x))),
        "sum": front(lambda x: ops.sum(x, axis=(1, 2)), (16, 16, 3)),
        "square": front(lambda x: x * x),
        "contradiction": front(lambda x: ops.concatenate([convolved(x / 255), convolved(2 * x - 1)], axis=-1)),
    },
}


def save_all(folder: Path) -> None:
    for name, make in MODELS.items():
        make().save(folder / f"{name}.keras")
    trained().save(folder / "legacy.h5")
    MODELS["lambda"]().save(folder / "unsafe.h5")
    MODELS["own"]().save(folder / "unknown.h5")
    # As long as the other name, so that HDF5 stays whole.
    content = (folder / "legacy.h5").read_bytes().replace(b'"RandomFlip"', b'"TFOpLambda"')
    (folder / "operations.h5").write_bytes(content)
    trained().save_weights(folder / "only.weights.h5")
    trained().export(folder / "exported", verbose=False)


def traced_ranges() -> dict[str, str]:
    from lookbook.build.pixels import traced_range
    from lookbook.build.tracing import trace

    return {
        f"{pixels}, {name}": traced_range(trace(make()))[0] or ""
        for pixels, makers in SCALINGS.items()
        for name, make in makers.items()
    }


if __name__ == "__main__":
    keras.utils.set_random_seed(1)
    if len(sys.argv) > 1:
        save_all(Path(sys.argv[1]))
    else:
        print(json.dumps(traced_ranges()))
