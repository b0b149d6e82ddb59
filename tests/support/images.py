"""Images made for tests."""

import io

from PIL import Image


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    """The image as a file of that format."""
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


# Far more pixels than are accepted, in a small file.
BOMB = encoded(Image.new("L", (13_000, 13_000)))
