"""Images made for tests."""

import io
from typing import Any

from PIL import Image


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """The bytes of the image as a file of that format."""
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


# A small file with far more pixels than the service accepts.
BOMB = encoded(Image.new("L", (13_000, 13_000)))
