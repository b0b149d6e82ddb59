"""Files that end too early, but after their last pixel. Tests: tests/unit/test_metadata.py."""

import math
import random
import struct
import zlib

from lookbook.model.metadata import JPEG, PNG

_JPEG_END = b"\xff\xd9"
_PADDING_BYTES = 64
_INFLATE_BYTES = 1 << 20
# Samples of a pixel by PNG color type.
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: the first column and row of each pass, and its steps.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def completed(data: bytes) -> list[bytes]:
    """The stripped file, with an end added in one or more ways; if all give the same image, no pixel was missing.

    Empty if no end is missing, or if pixels are.
    """
    if data.startswith(PNG):
        return _completed_png(data)
    if data.startswith(JPEG) and not data.endswith(_JPEG_END):
        # Missing pixels would be decoded from the padding, so the two images would differ.
        noise = random.Random(1)  # noqa: S311
        body = data.rstrip(b"\xff")
        return [body + bytes(noise.choices(range(255), k=_PADDING_BYTES)) + _JPEG_END for _ in range(2)]
    return []


def _completed_png(data: bytes) -> list[bytes]:
    """The PNG with its scan lines compressed again, if all of them are there."""
    head, compressed = _split_png(data)
    left = _scan_line_bytes(*struct.unpack_from(">IIBBxxB", data, len(PNG) + 8))
    inflate, deflate, parts = zlib.decompressobj(), zlib.compressobj(1), []
    while left:
        try:
            lines = inflate.decompress(compressed, min(left, _INFLATE_BYTES))
        except zlib.error:
            return []
        if not lines:
            return []
        compressed = inflate.unconsumed_tail
        left -= len(lines)
        parts.append(deflate.compress(lines))
    body = b"IDAT" + b"".join(parts) + deflate.flush()
    checked = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return [head + checked + struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))]


def _split_png(data: bytes) -> tuple[bytes, bytes]:
    """What is before the pixels, and the compressed scan lines."""
    start, head, parts = len(PNG), len(PNG), []
    while start + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, start)
        if data[start + 4 : start + 8] == b"IDAT":
            parts.append(data[start + 8 : start + 8 + length])
        elif not parts:
            head = start + 12 + length
        start += 12 + length
    return data[:head], b"".join(parts)


def _scan_line_bytes(width: int, height: int, depth: int, color_type: int, interlaced: int) -> int:
    """Bytes of all scan lines, each with its filter type before it."""
    bits = depth * _SAMPLES.get(color_type, 4)
    sizes = [(width, height)]
    if interlaced:
        sizes = [(_ceil(width - x, across), _ceil(height - y, down)) for x, y, across, down in _PASSES]
    return sum(rows * (1 + _ceil(columns * bits, 8)) for columns, rows in sizes if columns > 0)


def _ceil(number: int, divisor: int) -> int:
    return max(0, math.ceil(number / divisor))
