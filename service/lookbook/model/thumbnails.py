"""Thumbnails of images."""

import io

from PIL import Image

# A small model's scores depend on it, too: see `_useful_share` in decoding.py.
THUMBNAIL_SIDE = 96


def make_thumbnail(image: Image.Image, side: int = THUMBNAIL_SIDE) -> bytes:
    """WebP with at most `side` pixels on the longer side."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.HAMMING)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=75, method=2)
    return out.getvalue()
