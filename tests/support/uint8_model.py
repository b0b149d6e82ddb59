"""The bundle in tests/data/uint8, made by `.venv-training/bin/python -m tests.support.uint8_model`.

Its model of 8x8 pixels says which color is strongest, computes in int8, and takes uint8.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from lookbook.build.writer import Draft, write_bundle
from lookbook.model.bundle import InputSpec
from lookbook.model.pillow import configure_pillow
from numpy.typing import NDArray
from PIL import Image

from tests.support.places import UINT8

SPEC = InputSpec(8, 8, "rgb", "stretch", (255, 255, 255), (0.5,) * 3, (0.5,) * 3, "uint8")
LABELS = ("Red", "Green", "Blue")


def network() -> keras.Model:
    dense = layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((8, 8, 3), batch_size=1), layers.GlobalAveragePooling2D(), dense])
    dense.set_weights([3 * np.eye(3), np.zeros(3)])
    return model


def samples() -> Iterator[list[NDArray[np.float32]]]:
    """Images of one color, from -1 to 1, to quantize with."""
    rng = np.random.default_rng(1)
    for color in np.vstack([np.eye(3), 1 - np.eye(3), rng.random((20, 3))]):
        yield [np.broadcast_to(2 * color - 1, (1, 8, 8, 3)).astype(np.float32)]


def convert(model: keras.Model) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    content: bytes = converter.convert()
    return content


def main() -> None:
    configure_pillow()
    shutil.rmtree(UINT8, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        golden = [Path(scratch, f"{label.lower()}.png") for label in LABELS]
        for path, color in zip(golden, ((200, 90, 60), (30, 140, 70), (90, 80, 250)), strict=True):
            Image.new("RGB", (8, 8), color).save(path)
        write_bundle(UINT8, Draft("colors", "1.0.0", "MIT", LABELS, SPEC, convert(network()), golden))


if __name__ == "__main__":
    main()
