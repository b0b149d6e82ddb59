"""Which inputs are kept, and in which form. Tests: tests/unit/test_pipeline.py."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookbook.model.bundle import InputSpec
from lookbook.model.inputs import MAX_ORIGINAL_BYTES, encode_pixels, encode_tensor
from lookbook.model.preprocessing import ImageData
from lookbook.settings import Settings
from lookbook.store import Input


def kept_input(
    settings: Settings, spec: InputSpec, sampled: bool, data: ImageData, array: NDArray[Any]
) -> Input | None:
    """What to keep of an image: `data` is what was sent, `array` what the model saw of it, as from read_image()."""
    if settings.keep == "none" or not (sampled or settings.keep_for == "all"):
        return None
    if not isinstance(data, np.ndarray):
        if settings.keep == "original" and len(data) <= MAX_ORIGINAL_BYTES:
            return Input("original", bytes(data))
    elif data.dtype == array.dtype == np.float32:
        return Input("tensor", encode_tensor(array))
    return Input("pixels", encode_pixels(array, spec))
