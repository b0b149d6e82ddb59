"""Bytes of a picture to the model's input, the same in training and in serving."""

import functools
import io
import math
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from service.bundle import InputSpec
from service.errors import ImageTooLarge, InvalidImage, UnsupportedMediaType

FORMATS = ("JPEG", "PNG", "WEBP")
THUMBNAIL_SIDE = 96

# What Pillow's decoders raise for broken input.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, OverflowError, AssertionError)

# Pillow would warn at its own limit; decode() has the one of the settings.
Image.MAX_IMAGE_PIXELS = None

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def preprocess(data: bytes, spec: InputSpec, max_pixels: int) -> NDArray[np.float32]:
    """Float32 array of shape (1, height, width, channels); errors as decode()."""
    return to_array(decode(data, spec, max_pixels), spec)


def decode(data: bytes, spec: InputSpec, max_pixels: int) -> Image.Image:
    """Upright "RGB" or "L" picture, no larger than the model and a thumbnail have use for.

    Raises InvalidImage, ImageTooLarge (before decoding) or UnsupportedMediaType.
    """
    image = _open(data)
    width, height = image.size
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"the picture has {width * height / 1e6:.1f} megapixels; the limit is {max_pixels / 1e6:.1f}"
        )
    share = _share_of_use(image, spec)
    try:
        image.draft(None, (math.ceil(width * share), math.ceil(height * share)))
        image.load()
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        image = _plain(image)
    except _BROKEN as error:
        raise InvalidImage(f"the picture cannot be decoded: {error}") from error
    # Shrunk first: alpha and orientation then cost nothing on large pictures.
    # By the powers of two that draft() knows: a JPEG and the same PNG then get the same scores.
    factor = max(power for power in (1, 2, 4, 8) if power == 1 or image.width / (width * share) >= power)
    if factor > 1:
        image = image.reduce(factor)
    if image.mode == "RGBA":
        canvas = Image.new("RGB", image.size, spec.background)
        canvas.paste(image, mask=image.getchannel("A"))
        image = canvas
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    return image


def to_array(image: Image.Image, spec: InputSpec) -> NDArray[np.float32]:
    """Float32 array of shape (1, height, width, channels)."""
    mode = "RGB" if spec.color == "rgb" else "L"
    image = _fit(image, spec)
    if image.mode != mode:
        image = image.convert(mode)
    pixels = np.asarray(image, np.float32).reshape(1, spec.height, spec.width, spec.channels)
    scale, shift = _affine(spec)
    return pixels * scale - shift


@functools.cache
def _affine(spec: InputSpec) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(pixel / 255 - mean) / std as pixel * scale - shift, of one value where the channels are treated alike."""
    channels = 1 if len(set(spec.mean)) == len(set(spec.std)) == 1 else spec.channels
    std = np.array(spec.std[:channels], np.float32)
    return np.float32(1 / 255) / std, np.array(spec.mean[:channels], np.float32) / std


def thumbnail(image: Image.Image) -> bytes:
    """WebP of at most 96 pixels on the longer side."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    out = io.BytesIO()
    small.save(out, "WEBP", quality=75, method=2)
    return out.getvalue()


def _share_of_use(image: Image.Image, spec: InputSpec) -> float:
    """The part of the picture's resolution, from 0 to 1, that the model or a thumbnail has use for."""
    fit = min if spec.resize == "pad" else max
    across, down = sorted(image.size)
    narrow, wide = sorted((spec.width, spec.height))
    # Twice the target keeps the last, smooth resize in charge of the quality; upright or not is not known yet.
    wanted = 2 * max(fit(narrow / across, wide / down), fit(wide / across, narrow / down))
    return min(1.0, max(wanted, THUMBNAIL_SIDE / down))


def _open(data: bytes) -> Image.Image:
    if not data:
        raise InvalidImage("the file is empty")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except _BROKEN as error:
        if data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or data[:4] + data[8:12] == b"RIFFWEBP":
            raise InvalidImage("the picture is damaged at its beginning") from error
        raise UnsupportedMediaType("the file is not a JPEG, PNG or WebP picture") from error


def _plain(image: Image.Image) -> Image.Image:
    """The picture in one of the modes "L", "RGB", "RGBA"."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _fit(image: Image.Image, spec: InputSpec) -> Image.Image:
    target = (spec.width, spec.height)
    if image.size == target:
        return image
    if spec.resize == "stretch":
        return image.resize(target, Image.Resampling.BICUBIC)
    across, down = spec.width / image.width, spec.height / image.height
    if spec.resize == "crop":
        scale = max(across, down)
        width, height = spec.width / scale, spec.height / scale
        left, top = (image.width - width) / 2, (image.height - height) / 2
        return image.resize(target, Image.Resampling.BICUBIC, (left, top, left + width, top + height))
    scale = min(across, down)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new("RGB", target, spec.background)
    canvas.paste(
        image.resize(inner, Image.Resampling.BICUBIC),
        ((spec.width - inner[0]) // 2, (spec.height - inner[1]) // 2),
    )
    return canvas
