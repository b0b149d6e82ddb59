"""Images reduced by a whole factor and converted to "L", "RGB", or "RGBA". Tests: tests/unit/test_decoding.py."""

import math

import numpy as np
from PIL import Image

_TILE_SIDE = 512


def reduce(image: Image.Image, factor: int) -> Image.Image:
    """The image in mode "L", "RGB", or "RGBA", `factor` times smaller.

    Works in tiles: there is not enough memory for a large image and a converted copy.
    """
    if image.mode in ("L", "RGB") and not image.has_transparency_data:
        return _reduced(image, factor)
    mode = _converted(image.crop((0, 0, 1, 1))).mode
    small = Image.new(mode, (math.ceil(image.width / factor), math.ceil(image.height / factor)))
    side = factor * max(1, _TILE_SIDE // factor)
    for top in range(0, image.height, side):
        for left in range(0, image.width, side):
            tile = image.crop((left, top, min(left + side, image.width), min(top + side, image.height)))
            small.paste(_reduced(_converted(tile), factor), (left // factor, top // factor))
    return small


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    return image if factor == 1 else image.reduce((min(factor, image.width), min(factor, image.height)))


def _converted(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_sixteen_bits(image)
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image)
    gray = Image.fromarray((pixels >> 8).astype(np.uint8))
    if "transparency" not in image.info:
        return gray
    opaque = Image.fromarray((pixels != image.info["transparency"]).astype(np.uint8) * 255)
    return Image.merge("RGBA", (gray, gray, gray, opaque))
