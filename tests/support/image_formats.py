"""An image in the unusual formats that the service accepts."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.support.images import encoded

# Adam7: the first column and row of each pass, and its steps.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_COLOR_TYPES = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}
_WHITE = (255, 255, 255)


def formats(image: Image.Image) -> dict[str, tuple[bytes, bytes]]:
    """By name, the image in an unusual format and the plain 8-bit RGB file that must get the same scores."""
    rgb, gray = encoded(image.convert("RGB")), encoded(image.convert("L").convert("RGB"))
    palette = image.convert("P", palette=Image.Palette.ADAPTIVE)
    alpha, shown = half_transparent(image)
    gray_alpha, gray_shown = half_transparent(image.convert("L"))
    return {
        "16-bit gray": (sixteen_bit(image.convert("L")), gray),
        "16-bit color": (sixteen_bit(image.convert("RGB")), rgb),
        "16-bit color with alpha": (sixteen_bit(Image.open(io.BytesIO(alpha))), shown),
        "16-bit gray with alpha": (sixteen_bit(Image.open(io.BytesIO(gray_alpha)).convert("LA")), gray_shown),
        "16-bit gray with a transparent color": with_transparent_color(image.convert("L")),
        "16-bit color with a transparent color": with_transparent_color(image.convert("RGB")),
        "2-bit gray with a transparent color": few_grays(image, 2),
        "4-bit gray with a transparent color": few_grays(image, 4),
        "8-bit gray": (encoded(image.convert("L")), gray),
        "CMYK": (encoded(image.convert("CMYK"), "JPEG", **quality("JPEG")), rgb),
        "palette": (encoded(palette), encoded(palette.convert("RGB"))),
        "interlaced": (interlaced(image), rgb),
        "transparent": (alpha, shown),
        "rotated PNG": (rotated(image, "PNG"), rgb),
        "rotated JPEG": (rotated(image, "JPEG"), encoded(image, "JPEG", **quality("JPEG"))),
        "WebP": (encoded(image, "WEBP", lossless=True), rgb),
        "black and white": (encoded(image.convert("1")), encoded(image.convert("1").convert("RGB"))),
    }


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    """A chunk of a PNG file, with the right checksum unless another is given."""
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(
    size: tuple[int, ...], bits: int, color_type: int, rows: bytes, interlace: int = 0, before: bytes = b""
) -> bytes:
    """A PNG of a kind that Pillow reads but does not write; `before` is chunks to put before the pixels."""
    header = struct.pack(">IIBBBBB", *size, bits, color_type, 0, 0, interlace)
    chunks = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def quality(format: str) -> dict[str, int]:
    """Options for encoded() that keep a JPEG close to the image."""
    return {"quality": 95, "subsampling": 0} if format == "JPEG" else {}


def interlaced(image: Image.Image) -> bytes:
    pixels = np.asarray(image.convert("RGB"))
    passes = (pixels[y::down, x::across] for x, y, across, down in _PASSES)
    return png(image.size, 8, 2, b"".join(_unfiltered(part) for part in passes), interlace=1)


def sixteen_bit(image: Image.Image, transparent: tuple[int, ...] = ()) -> bytes:
    """A PNG with 16 bits per channel, in which one color is transparent."""
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    low_bytes = np.random.default_rng(1).integers(0, 256, pixels.shape, np.uint16)
    before = b""
    if transparent:
        low_bytes[(pixels == transparent).all(axis=2)] = 7
        color = struct.pack(f">{len(transparent)}H", *(value * 256 + 7 for value in transparent))
        before = chunk(b"tRNS", color)
    rows = _unfiltered((pixels * np.uint16(256) + low_bytes).astype(">u2"))
    return png(image.size, 16, _COLOR_TYPES[image.mode], rows, before=before)


def with_transparent_color(image: Image.Image) -> tuple[bytes, bytes]:
    """16 bits per channel with the left half in a transparent color, and the same on white."""
    color = (9, 8, 5)[: len(image.getbands())]
    filled = image.copy()
    filled.paste(color, (0, 0, image.width // 2, image.height))
    shown = np.asarray(filled.convert("RGB")).copy()
    transparent = np.asarray(filled).reshape(image.height, image.width, -1) == color
    shown[transparent.all(axis=2)] = 255
    return sixteen_bit(filled, color), encoded(Image.fromarray(shown))


def few_grays(image: Image.Image, bits: int) -> tuple[bytes, bytes]:
    """A PNG with 2 or 4 bits per pixel, in which the second darkest gray is transparent, and the same on white."""
    grays = np.asarray(image.convert("L").crop((0, 0, image.width // 8 * 8, image.height)))
    grays = (grays >> np.uint8(8 - bits)).astype(np.uint8)
    shown = np.where(grays == 1, 255, grays * (255 // (2**bits - 1))).astype(np.uint8)
    spread = np.unpackbits(grays[:, :, None], axis=2)[:, :, -bits:].reshape(len(grays), -1)
    rows = _unfiltered(np.packbits(spread, axis=1))
    return png(grays.shape[::-1], bits, 0, rows, before=chunk(b"tRNS", b"\0\1")), encoded(Image.fromarray(shown))


def rotated(image: Image.Image, format: str) -> bytes:
    """The image stored on its side, with EXIF data that turns it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image.transpose(Image.Transpose.ROTATE_90), format, exif=exif, **quality(format))


def half_transparent(image: Image.Image) -> tuple[bytes, bytes]:
    """The left half transparent over green, and the same on white."""
    left_half = (0, 0, image.width // 2, image.height)
    filled, shown = image.convert("RGB"), image.convert("RGB")
    filled.paste((0, 200, 0), left_half)
    shown.paste(_WHITE, left_half)
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, left_half)
    filled.putalpha(alpha)
    return encoded(filled), encoded(shown)


def _unfiltered(pixels: NDArray[np.generic]) -> bytes:
    """Rows of a PNG, each after the byte that says that it is not filtered."""
    return b"".join(b"\0" + row.tobytes() for row in pixels if row.size)
