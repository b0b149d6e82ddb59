"""The pixel range that a Keras model expects. Tests: tests/unit/test_build.py."""

import keras
import numpy as np
from keras import layers

from lookbook.model.bundle import BundleError

# A first layer that multiplies by no more than this expects pixels from 0 to 255.
_SMALL = 1 / 64


def pixel_range(model: keras.Model, given: str | None) -> tuple[str, str]:
    """One of the RANGES, and the reason for it; `given` is what the user says, if anything."""
    if "int" in model.inputs[0].dtype:
        if given not in (None, "0..255"):
            raise BundleError(f"the model's input is integers, which cannot represent {given}: use --input 0..255")
        return "0..255", "the input is integers"
    if given:
        return given, "given by --input"
    first = _first_operation(model)
    kind = type(first).__name__
    if isinstance(first, layers.Rescaling):
        pixels = "0..255" if np.max(np.abs(first.scale)) <= _SMALL else "0..1"
    elif isinstance(first, layers.Normalization):
        pixels = "0..255" if np.max(np.abs(first.mean)) > 2 else "0..1"
    elif kind in ("TrueDivide", "Divide"):
        pixels = "0..255"
    else:
        return "0..1", "assumed, because the first layer does not scale pixels; use --input if this is wrong"
    return pixels, f"because the first layer is {kind}"


def _first_operation(model: keras.Model) -> keras.Operation | None:
    """The first operation that changes an image during inference."""
    for operation in getattr(model, "operations", model.layers):
        if isinstance(operation, keras.Model):
            return _first_operation(operation)
        name = type(operation).__name__
        if not (isinstance(operation, layers.InputLayer) or name.startswith("Random")):
            return operation
    return None
