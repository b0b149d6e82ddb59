"""A network as full-integer LiteRT: pixels in, scores out."""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from lookbook.model.quiet import quiet
from numpy.typing import NDArray
from tensorflow.lite.python.util import modify_model_io_type

# These few operations decide how fine the scores are; in int8 there would be 256 different scores.
_IN_FLOAT = ["FULLY_CONNECTED", "SOFTMAX"]


def quantize(model: keras.Model, images: NDArray[np.float32]) -> bytes:
    """LiteRT with int8 weights and activations: uint8 pixels (1, height, width, channels) -> float32 (1, labels).

    `images` (n, height, width, channels) set the range of each activation. They must span -1 to 1, so that the input's
    own scale normalizes the pixels as mean and standard deviation 0.5 do.
    """

    def samples() -> Iterator[list[NDArray[np.float32]]]:
        for image in images:
            yield [image[np.newaxis]]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    with quiet():
        # The converter alone has no way to leave operations in float; the debugger has, and needs no debugging.
        quantizer = tf.lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=samples,
            debug_options=tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=_IN_FLOAT),
        )
        content: bytes = modify_model_io_type(quantizer.get_nondebug_quantized_model(), tf.uint8, tf.float32)
    return content
