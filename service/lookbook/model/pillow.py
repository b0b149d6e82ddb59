"""Pillow's process-wide limits, set once by each program that decodes images."""

from PIL import Image, PngImagePlugin

_MAX_TEXT_BYTES = 8 * 1024 * 1024


def configure_pillow() -> None:
    """Leave the limit on pixels to decode(), and lower the memory for the text chunks of a PNG file."""
    # Pillow would warn above 89 megapixels; decode() has the limit of the settings.
    Image.MAX_IMAGE_PIXELS = None
    # Decompressed text takes four bytes a character, and nothing here reads it.
    PngImagePlugin.MAX_TEXT_MEMORY = _MAX_TEXT_BYTES
