"""Images of shapes, for a model that is trained in seconds."""

import numpy as np
from PIL import Image, ImageDraw

LABELS = ("circle", "square", "triangle")


def drawn(label: str, side: int, rng: np.random.Generator) -> Image.Image:
    """A shape of one color on another, somewhere in an image of side x side pixels."""
    dark, light = rng.integers(0, 90, 3), rng.integers(160, 256, 3)
    ground, color = (dark, light) if rng.random() < 0.5 else (light, dark)
    image = Image.new("RGB", (side, side), tuple(map(int, ground)))
    size = side * rng.uniform(0.5, 0.8)
    left, top = rng.uniform(0.05, 0.95, 2) * (side - size)
    right, bottom = left + size, top + size
    pen = ImageDraw.Draw(image)
    fill = tuple(map(int, color))
    if label == "circle":
        pen.ellipse((left, top, right, bottom), fill)
    elif label == "square":
        pen.rectangle((left, top, right, bottom), fill)
    else:
        pen.polygon([(left, bottom), (right, bottom), ((left + right) / 2, top)], fill)
    return image
