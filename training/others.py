"""Images that show none of the labels: plain colors, noise, patterns, pieces of photographs."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Rgb = NDArray[np.uint8]


def other(photo: Image.Image, side: int, rng: np.random.Generator) -> Rgb:
    """An image (side, side, 3) for training that shows none of the labels; pieces may come from `photo`."""
    # Two of six are pieces of a photograph.
    return pattern(side, rng) if rng.random() < 4 / 6 else shuffled(photo, side, rng)


def pattern(side: int, rng: np.random.Generator) -> Rgb:
    """Plain color, noise, stripes, or shapes: (side, side, 3)."""
    makers = (plain, noise, stripes, shapes)
    return makers[int(rng.integers(len(makers)))](side, rng)


def plain(side: int, rng: np.random.Generator) -> Rgb:
    """One color, sometimes in uneven light."""
    image = np.broadcast_to(rng.uniform(0, 255, 3), (side, side, 3))
    if rng.random() < 0.5:
        image = image * _ramp(side, rng)[..., None] ** rng.uniform(0, 1.5)
    return _clipped(image)


def noise(side: int, rng: np.random.Generator) -> Rgb:
    """Random values on a fine or coarse grid, sharp or smooth."""
    cells = int(2 ** rng.uniform(1, math.log2(side)))
    values = rng.normal(rng.uniform(60, 200), rng.uniform(10, 90), (cells, cells, 3 if rng.random() < 0.5 else 1))
    grid = Image.fromarray(_clipped(np.broadcast_to(values, (cells, cells, 3))))
    smooth = Image.Resampling.NEAREST if rng.random() < 0.4 else Image.Resampling.BICUBIC
    return np.asarray(grid.resize((side, side), smooth))


def stripes(side: int, rng: np.random.Generator) -> Rgb:
    """Stripes or checks of two colors."""
    wave = np.sin(_ramp(side, rng) * rng.uniform(4, 120) + rng.uniform(0, 6))
    if rng.random() < 0.5:
        wave = wave * np.sin(_ramp(side, rng) * rng.uniform(4, 120))
    share = np.clip(0.5 + wave * rng.choice([0.5, 20]), 0, 1)[..., None]
    return _clipped(share * rng.uniform(0, 255, 3) + (1 - share) * rng.uniform(0, 255, 3))


def shapes(side: int, rng: np.random.Generator) -> Rgb:
    """A few polygons, ellipses, and lines in random colors."""
    image = Image.fromarray(plain(side, rng))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 12))):
        color = tuple(int(value) for value in rng.integers(0, 256, 3))
        points = [(float(x), float(y)) for x, y in rng.uniform(-0.1 * side, 1.1 * side, (int(rng.integers(3, 6)), 2))]
        kind = rng.random()
        if kind < 0.4:
            draw.polygon(points, fill=color)
        elif kind < 0.7:
            (left, right), (top, bottom) = (sorted(axis) for axis in zip(*points[:2], strict=True))
            draw.ellipse((left, top, right, bottom), fill=color)
        else:
            draw.line(points, fill=color, width=int(rng.integers(1, 8)))
    return np.asarray(image)


def shuffled(photo: Image.Image, side: int, rng: np.random.Generator) -> Rgb:
    """Pieces of a photograph in random order: its colors and textures without its shapes."""
    count = int(rng.integers(4, 9))
    piece = -(-side // count)
    whole = np.asarray(photo.convert("RGB").resize((piece * count, piece * count), Image.Resampling.BILINEAR))
    pieces = whole.reshape(count, piece, count, piece, 3).swapaxes(1, 2).reshape(-1, piece, piece, 3)
    if rng.random() < 0.4:
        # Or a single piece, enlarged: cloth or floor in close-up.
        near = Image.fromarray(pieces[int(rng.integers(len(pieces)))])
        return np.asarray(near.resize((side, side), Image.Resampling.BICUBIC))
    mixed = rng.permutation(pieces).reshape(count, count, piece, piece, 3).swapaxes(1, 2)
    return np.ascontiguousarray(mixed.reshape(whole.shape)[:side, :side])


# Training never uses the textures below: `evaluate` measures how confident a model is on images it has not seen.


def white_noise(side: int, rng: np.random.Generator) -> Rgb:
    """A random value for each pixel and channel."""
    return rng.integers(0, 256, (side, side, 3), np.uint8)


def clouds(side: int, rng: np.random.Generator) -> Rgb:
    """Noise whose power decreases with frequency, as in marble, fur, and clouds."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.fft2(rng.normal(size=(side, side))) / frequency ** rng.uniform(0.7, 1.8)
    values = np.real(np.fft.ifft2(spectrum))
    share = np.clip(0.5 + values / values.std() / 4, 0, 1)[..., None]
    return _clipped(share * rng.uniform(0, 255, 3) + (1 - share) * rng.uniform(0, 255, 3))


def cells(side: int, rng: np.random.Generator) -> Rgb:
    """Stones: each pixel has the color of its nearest center, darker at the edge."""
    centers = rng.uniform(0, side, (int(rng.integers(8, 120)), 2))
    grid = np.moveaxis(np.mgrid[:side, :side], 0, -1).reshape(-1, 1, 2)
    distances = np.hypot(*(grid - centers).transpose(2, 0, 1))
    two = np.partition(distances, 1, axis=1)
    edge = np.clip((two[:, 1] - two[:, 0]) / side * 40, 0.3, 1)
    colors = rng.uniform(0, 255, 3) + rng.normal(0, rng.uniform(5, 60), (len(centers), 1))
    return _clipped((colors[distances.argmin(axis=1)] * edge[:, None]).reshape(side, side, 3))


def bricks(side: int, rng: np.random.Generator) -> Rgb:
    """A brick wall or tiles, with joints."""
    height = int(rng.integers(6, side // 3))
    width, joint = int(height * rng.uniform(1, 3)), int(rng.integers(1, 3))
    down, across = np.mgrid[:side, :side]
    row = down // height
    moved = across + (row % 2) * (width // 2)
    tint = rng.normal(0, rng.uniform(0, 30), (side // height + 2, 2 * side // width + 3))
    wall = rng.uniform(0, 255, 3) + tint[row, moved // width][..., None]
    gap = (down % height < joint) | (moved % width < joint)
    return _clipped(np.where(gap[..., None], rng.uniform(0, 255, 3), wall))


def _ramp(side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """From 0 to 1 across the image, in a random direction: shape (side, side)."""
    angle = rng.uniform(0, 2 * math.pi)
    down, across = np.mgrid[:side, :side] / (side - 1) - 0.5
    return np.asarray(0.5 + (math.cos(angle) * across + math.sin(angle) * down) / math.sqrt(2))


def _clipped(values: NDArray[np.float64]) -> Rgb:
    return np.clip(values, 0, 255).astype(np.uint8)
