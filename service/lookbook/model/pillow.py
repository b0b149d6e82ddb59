"""Pillow's process-wide limit, set once by each program that decodes images."""

from PIL import Image


def configure_pillow() -> None:
    """Leave the limit on pixels to decode()."""
    # Pillow would warn above 89 megapixels; decode() has the limit of the settings.
    Image.MAX_IMAGE_PIXELS = None
