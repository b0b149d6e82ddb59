"""Training images made from the data: crops, rotations, colors, painted drawings."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Rgb = NDArray[np.uint8]


def photo(source: Image.Image, side: int, rng: np.random.Generator) -> Rgb:
    """A photograph as (side, side, 3): padded, rotated, zoomed, and flipped."""
    fill = _color(rng) if rng.random() < 0.3 else (255, 255, 255)
    image = warp(source, side, rng, zoom=(0.7, 1.4), turn=25 if rng.random() < 0.8 else 180, fill=fill)
    return jitter(np.asarray(image), rng)


def fashion(drawing: NDArray[np.uint8], background: Image.Image, side: int, rng: np.random.Generator) -> Rgb:
    """A Fashion-MNIST drawing as (side, side, 3): unchanged, inverted, or painted on a background."""
    choice = rng.random()
    if choice < 0.45:
        return np.asarray(_plain(drawing, side, rng))
    if choice < 0.85:
        return 255 - np.asarray(_plain(drawing, side, rng))
    return jitter(_painted(drawing, background, side, rng), rng)


def warp(
    source: Image.Image,
    side: int,
    rng: np.random.Generator,
    *,
    zoom: tuple[float, float],
    turn: float,
    fill: tuple[int, ...] | int,
) -> Image.Image:
    """`source` fitted into a square, then zoomed, stretched, rotated (`turn` degrees), moved, and flipped."""
    fit = max(source.size) / side / rng.uniform(*zoom)
    stretch = math.exp(rng.uniform(-0.15, 0.15))
    angle = math.radians(rng.uniform(-turn, turn))
    mirror = -1 if rng.random() < 0.5 else 1
    a, b = mirror * fit * stretch * math.cos(angle), fit * stretch * math.sin(angle)
    d, e = -mirror * fit / stretch * math.sin(angle), fit / stretch * math.cos(angle)
    across, down = rng.uniform(-0.1, 0.1, 2) * side
    c = source.width / 2 - a * (side / 2 + across) - b * (side / 2 + down)
    f = source.height / 2 - d * (side / 2 + across) - e * (side / 2 + down)
    return source.transform(
        (side, side), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR, fillcolor=fill
    )


def jitter(image: Rgb, rng: np.random.Generator) -> Rgb:
    """The image with random brightness, contrast, saturation, white balance, and noise, and with an erased patch."""
    values = image.astype(np.float32)
    gray = values.mean(axis=2, keepdims=True)
    values = gray + (values - gray) * rng.uniform(0.4, 1.5)
    if rng.random() < 0.1:
        values = np.broadcast_to(gray, values.shape).copy()
    mean = values.mean()
    values = mean + (values - mean) * rng.uniform(0.65, 1.4)
    values = values * rng.uniform(0.85, 1.15, 3).astype(np.float32) * rng.uniform(0.7, 1.3)
    if rng.random() < 0.3:
        values += rng.normal(0, rng.uniform(2, 10), values.shape).astype(np.float32)
    if rng.random() < 0.3:
        side = len(values)
        height, width = (rng.uniform(0.1, 0.35, 2) * side).astype(int)
        top, left = int(rng.integers(side - height)), int(rng.integers(side - width))
        values[top : top + height, left : left + width] = rng.uniform(0, 255, 3)
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def _plain(drawing: NDArray[np.uint8], side: int, rng: np.random.Generator) -> Image.Image:
    shifted = np.roll(drawing, tuple(rng.integers(-1, 2, 2)), (0, 1))
    if rng.random() < 0.5:
        shifted = shifted[:, ::-1]
    if rng.random() < 0.4:
        height, width = rng.integers(4, 13, 2)
        top, left = rng.integers(28 - height), rng.integers(28 - width)
        shifted[top : top + height, left : left + width] = rng.integers(0, 256)
    gray = Image.fromarray(np.ascontiguousarray(shifted))
    return gray.resize((side, side), Image.Resampling.BICUBIC).convert("RGB")


def _painted(drawing: NDArray[np.uint8], background: Image.Image, side: int, rng: np.random.Generator) -> Rgb:
    large = Image.fromarray(drawing).resize((side, side), Image.Resampling.BICUBIC)
    shade = np.asarray(warp(large, side, rng, zoom=(0.55, 1.1), turn=20, fill=0), np.float32) / 255
    # Dark parts inside a garment belong to it: close the holes of the mask.
    mask = Image.fromarray((shade > 0.05).astype(np.uint8) * 255)
    mask = mask.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(5)).filter(ImageFilter.BoxBlur(1))
    alpha = np.asarray(mask, np.float32)[..., None] / 255
    if rng.random() < 0.3:
        shade = 1 - shade
    low = rng.uniform(0.2, 0.7)
    cloth = np.array(_color(rng)) * (low + (1 - low) * shade[..., None])
    return (cloth * alpha + _ground(background, side, rng) * (1 - alpha)).astype(np.uint8)


def _ground(background: Image.Image, side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    choice = rng.random()
    if choice < 0.3:
        return np.full((side, side, 3), rng.integers(225, 256), np.float32)
    if choice < 0.5:
        return np.broadcast_to(np.array(_color(rng), np.float32), (side, side, 3))
    # The edge of a photograph rarely shows the garment.
    width, height = background.size
    strip = max(4, min(width, height) // 6)
    box = [
        (0, 0, width, strip),
        (0, height - strip, width, height),
        (0, 0, strip, height),
        (width - strip, 0, width, height),
    ][int(rng.integers(4))]
    return np.asarray(background.crop(box).resize((side, side), Image.Resampling.BILINEAR), np.float32)


def _color(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3)
    return int(red), int(green), int(blue)
