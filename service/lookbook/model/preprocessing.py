"""Images to the model's input, the same in training and in serving."""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookbook.model.bundle import InputSpec
from lookbook.model.decoding import decode

# A file, or an array of shape (height, width, channels): uint8 is pixels, float32 is normalized pixels.
ImageData = bytes | memoryview | NDArray[Any]


def preprocess(data: bytes, spec: InputSpec, max_pixels: int) -> NDArray[Any]:
    """The model's input, as from to_array(), for a file; errors as in decode()."""
    return to_array(decode(data, spec, max_pixels), spec)


def to_array(image: Image.Image, spec: InputSpec) -> NDArray[Any]:
    """The model's input of shape (1, height, width, channels): float32 is normalized, uint8 is pixels."""
    mode = "RGB" if spec.color == "rgb" else "L"
    image = _resized(image, spec)
    if image.mode != mode:
        image = image.convert(mode)
    dtype = np.dtype(spec.type)
    pixels = np.asarray(image, dtype).reshape(1, spec.height, spec.width, spec.channels)
    if dtype == np.uint8:
        return pixels
    scale, shift = _normalization(spec)
    return pixels * scale - shift


def read_image(data: ImageData, spec: InputSpec, max_pixels: int) -> tuple[NDArray[Any], Image.Image]:
    """The model's input, as from to_array(), and the image; errors as in decode()."""
    if not isinstance(data, np.ndarray):
        image = decode(bytes(data), spec, max_pixels)
        return to_array(image, spec), image
    image = to_pixels(data, spec)
    return data[np.newaxis] if data.dtype == spec.type else to_array(image, spec), image


def to_pixels(array: NDArray[Any], spec: InputSpec) -> Image.Image:
    """The image of an array of shape (height, width, channels): exactly the one from which to_array() made it.

    Float32 is rounded to the nearest pixel value and limited to 0 to 255.
    """
    if array.dtype == np.uint8:
        return _from_pixels(array)
    scale, shift = _normalization(spec)
    with np.errstate(over="ignore"):
        pixels = np.clip((array + shift) / scale, 0, 255).round().astype(np.uint8)
    return _from_pixels(pixels)


@functools.cache
def _normalization(spec: InputSpec) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(pixel / 255 - mean) / std as pixel * scale - shift; a single value if all channels have the same."""
    channels = 1 if len(set(spec.mean)) == len(set(spec.std)) == 1 else spec.channels
    std = np.array(spec.std[:channels], np.float32)
    return np.float32(1 / 255) / std, np.array(spec.mean[:channels], np.float32) / std


def _from_pixels(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)


def _resized(image: Image.Image, spec: InputSpec) -> Image.Image:
    target = (spec.width, spec.height)
    if image.size == target:
        return image
    if spec.resize == "stretch":
        return image.resize(target, Image.Resampling.BICUBIC)
    return _cropped(image, spec) if spec.resize == "crop" else _padded(image, spec)


def _cropped(image: Image.Image, spec: InputSpec) -> Image.Image:
    scale = max(spec.width / image.width, spec.height / image.height)
    width, height = spec.width / scale, spec.height / scale
    left, top = (image.width - width) / 2, (image.height - height) / 2
    box = (left, top, left + width, top + height)
    return image.resize((spec.width, spec.height), Image.Resampling.BICUBIC, box)


def _padded(image: Image.Image, spec: InputSpec) -> Image.Image:
    scale = min(spec.width / image.width, spec.height / image.height)
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    canvas = Image.new("RGB", (spec.width, spec.height), spec.background)
    canvas.paste(
        image.resize((width, height), Image.Resampling.BICUBIC),
        ((spec.width - width) // 2, (spec.height - height) // 2),
    )
    return canvas
