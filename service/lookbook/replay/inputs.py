"""Stored inputs, for a model to run on. Tests: tests/unit/test_replay_command.py."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookbook.model.bundle import InputSpec
from lookbook.model.decoding import decode
from lookbook.model.preprocessing import read_image, to_array
from lookbook.model.thumbnails import make_thumbnail
from lookbook.store import Input

_PREVIEW_SIDE = 240


class StoredInput:
    """What the model with the input `spec` has seen."""

    def __init__(self, input: Input, spec: InputSpec, max_pixels: int) -> None:
        self._kind, self._content = input.kind, input.content
        self._spec, self._max_pixels = spec, max_pixels

    def array(self, spec: InputSpec) -> NDArray[Any]:
        """The array for a model with this input, of shape (1, height, width, channels)."""
        if self._kind == "tensor" and _is_same(spec, self._spec):
            return self._tensor()[np.newaxis]
        return to_array(self._image(spec), spec)

    def is_smaller_than(self, spec: InputSpec) -> bool:
        """Whether a model with this input would see less than in the image that was sent."""
        fewer = spec.height > self._spec.height or spec.width > self._spec.width or spec.channels > self._spec.channels
        return self._kind != "original" and fewer

    def preview(self) -> bytes:
        """WebP for a person to look at."""
        return make_thumbnail(self._image(self._spec), _PREVIEW_SIDE)

    def _image(self, spec: InputSpec) -> Image.Image:
        if self._kind == "tensor":
            return read_image(self._tensor(), self._spec, self._max_pixels)[1]
        return decode(self._content, spec, self._max_pixels)

    def _tensor(self) -> NDArray[np.float32]:
        array: NDArray[np.float32] = np.load(io.BytesIO(self._content), allow_pickle=False)
        return array.reshape(self._spec.height, self._spec.width, self._spec.channels)


def _is_same(one: InputSpec, other: InputSpec) -> bool:
    """Whether both models get the same numbers for the same pixels."""
    names = ("height", "width", "channels", "mean", "std", "type")
    return all(getattr(one, name) == getattr(other, name) for name in names)
