"""Bytes of a picture to the model's input, the same in training and in serving."""

import functools
import io
import math
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, PngImagePlugin
from PIL.WebPImagePlugin import WebPImageFile

from lookbook.errors import ImageTooLarge, InvalidImage, UnsupportedMediaType
from lookbook.model.bundle import InputSpec

FORMATS = ("JPEG", "PNG", "WEBP")
THUMBNAIL_SIDE = 96

# JPEG has no longer ones either. Each row takes memory of its own, however short it is.
_LONGEST = 65_535
_TILE = 512

# What is decoded of a picture, as a multiple of what the model sees: 640 pixels become 160 for a model of 96.
_MARGIN = 1.6

# Bytes that a pixel takes while it is decoded: up to six, as in a progressive JPEG, but for these.
_BYTES = 6
_MORE_BYTES = {"CMYK": 8, "WEBP": 12}

# What makes eight bits of a grey of two or four.
_STEPS = {"L;2": 85, "L;4": 17}

# A file, or an array of shape (height, width, channels): uint8 for plain pixels, float32 for the model's own input.
ImageData = bytes | memoryview | NDArray[Any]

# What Pillow's decoders raise for broken input.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, OverflowError, AssertionError)

# Pillow would warn at its own limit; decode() has the one of the settings.
Image.MAX_IMAGE_PIXELS = None

# The texts in a PNG, unpacked; four bytes a character, and nobody reads them.
PngImagePlugin.MAX_TEXT_MEMORY = 8 * 1024 * 1024

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
    file = _open(data)
    _check_size(file, max_pixels)
    share = _share_of_use(file, spec)
    longer = max(file.size)
    # The power of two that draft() knows, then the rest: a JPEG and the same PNG get the same scores.
    power = max(power for power in (1, 2, 4, 8) if power == 1 or power * share <= 1)
    factor = power * int(1 / (power * share))
    try:
        file.draft(None, (max(1, file.width // power), max(1, file.height // power)))
        image = _load(file)
        orientation = _orientation(file)
        # Shrunk first: alpha and orientation then cost nothing on large pictures.
        image = _shrunk(image, round(factor * max(image.size) / longer))
    except _BROKEN as error:
        raise InvalidImage(f"the picture cannot be decoded: {error}") from error
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


def read_image(picture: ImageData, spec: InputSpec, max_pixels: int) -> tuple[NDArray[np.float32], Image.Image]:
    """The model's input, as to_array() makes it, and the picture; errors as decode()."""
    if not isinstance(picture, np.ndarray):
        image = decode(bytes(picture), spec, max_pixels)
        return to_array(image, spec), image
    if picture.dtype == np.uint8:
        image = _from_pixels(picture)
        return to_array(image, spec), image
    scale, shift = _affine(spec)
    with np.errstate(over="ignore"):
        pixels = np.clip((picture + shift) / scale, 0, 255).round().astype(np.uint8)
    return picture[np.newaxis], _from_pixels(pixels)


def _from_pixels(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)


def thumbnail(image: Image.Image) -> bytes:
    """WebP of at most 96 pixels on the longer side."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.HAMMING)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=75, method=2)
    return out.getvalue()


def _share_of_use(image: Image.Image, spec: InputSpec) -> float:
    """The part of the picture's resolution, from 0 to 1, that the model or a thumbnail has use for."""
    fit = min if spec.resize == "pad" else max
    across, down = sorted(image.size)
    narrow, wide = sorted((spec.width, spec.height))
    # More than the target keeps the last, smooth resize in charge of the quality; upright or not is not known yet.
    wanted = _MARGIN * max(fit(narrow / across, wide / down), fit(wide / across, narrow / down))
    return min(1.0, max(wanted, THUMBNAIL_SIDE / down))


def _open(data: bytes) -> ImageFile.ImageFile:
    if not data:
        raise InvalidImage("the file is empty")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except _BROKEN as error:
        if data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or data[:4] + data[8:12] == b"RIFFWEBP":
            raise InvalidImage("the picture is damaged at its beginning") from error
        raise UnsupportedMediaType("the file is not a JPEG, PNG or WebP picture") from error


def _check_size(image: Image.Image, max_pixels: int) -> None:
    """Raises ImageTooLarge; the pictures that take more memory have a lower limit."""
    if max(image.size) > _LONGEST:
        raise ImageTooLarge(f"the picture's longer side has {max(image.size)} pixels; the limit is {_LONGEST}")
    kind = image.format if image.format in _MORE_BYTES else image.mode
    limit = max_pixels * _BYTES // _MORE_BYTES.get(kind, _BYTES)
    pixels = image.width * image.height
    if pixels > limit:
        which = f" for {kind}" if kind in _MORE_BYTES else ""
        raise ImageTooLarge(f"the picture has {pixels / 1e6:.1f} megapixels; the limit is {limit / 1e6:.1f}{which}")


def _load(image: ImageFile.ImageFile) -> Image.Image:
    """The first frame as it was stored."""
    if isinstance(image, WebPImageFile):
        # load() would make one copy more.
        data, _, _ = image._get_next()
        return Image.frombuffer(image.rawmode, image.size, data, "raw", image.rawmode, 0, 1)
    if image.mode == "P" and not image.palette:
        raise InvalidImage("the picture has no palette for its colours")
    _scale_transparency(image)
    image.load()
    return image


def _orientation(image: Image.Image) -> int | None:
    """As the picture's EXIF data say, where they can be read: without them it is whole, too."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except _BROKEN:
        return None


def _scale_transparency(image: ImageFile.ImageFile) -> None:
    """Pillow scales a PNG's pixels to eight bits, but not its transparent colour."""
    stored = image.tile[0].args if image.tile else None
    colour = image.info.get("transparency")
    if stored == "RGB;16B" and isinstance(colour, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in colour)
    elif stored in _STEPS and isinstance(colour, int):
        image.info["transparency"] = colour * _STEPS[stored]


def _shrunk(image: Image.Image, factor: int) -> Image.Image:
    """The plain picture, so many times smaller; in tiles, for a large one has no room beside it for another."""
    if image.mode in ("L", "RGB") and not image.has_transparency_data:
        return _reduced(image, factor)
    small = Image.new(
        _plain(image.crop((0, 0, 1, 1))).mode, (math.ceil(image.width / factor), math.ceil(image.height / factor))
    )
    side = factor * max(1, _TILE // factor)
    for top in range(0, image.height, side):
        for left in range(0, image.width, side):
            tile = image.crop((left, top, min(left + side, image.width), min(top + side, image.height)))
            small.paste(_reduced(_plain(tile), factor), (left // factor, top // factor))
    return small


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    return image if factor == 1 else image.reduce((min(factor, image.width), min(factor, image.height)))


def _plain(image: Image.Image) -> Image.Image:
    """The picture in one of the modes "L", "RGB", "RGBA"."""
    if image.mode.startswith("I"):
        pixels = np.asarray(image)
        grey = Image.fromarray((pixels >> 8).astype(np.uint8))
        if "transparency" not in image.info:
            return grey
        opaque = Image.fromarray((pixels != image.info["transparency"]).astype(np.uint8) * 255)
        return Image.merge("RGBA", (grey, grey, grey, opaque))
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
