"""LiteRT from a Keras model. Tests: tests/unit/test_build.py."""

import re

import keras
import tensorflow as tf

# tf.lite does not export it.
from tensorflow.lite.python.convert_phase import ConverterError

from lookbook.model.bundle import BundleError
from lookbook.model.quiet import quiet


def convert(model: keras.Model) -> bytes:
    """The model as LiteRT: built-in operators only, weights in half precision. Raises BundleError."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    try:
        with quiet():
            content: bytes = converter.convert()
    except (ConverterError, ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        operators = sorted(set(re.findall(r"'tf\.(\w+)' op", str(error))))
        reason = f"LiteRT has no {', '.join(operators)}" if operators else " ".join(str(error).split())[:300]
        raise BundleError(f"the model cannot be converted to LiteRT's built-in operators: {reason}") from error
    return content
