"""Files without the metadata that Lookbook does not use, so that damage in it does not matter.

Decoders parse color profiles, texts, and thumbnails, and because of them refuse a file that every browser shows. What
stays: the pixels, transparency, EXIF (for the orientation), and what defines the colors of a JPEG (JFIF, Adobe).
Sources: https://www.w3.org/TR/png-3/, ITU-T T.81, RFC 9649.
"""

import struct
import zlib
from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"

_PNG_TRAILER = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
_PALETTE = 3
# Bytes of transparency by color type: a gray level, a color.
_TRANSPARENCY_BYTES = {0: 2, 2: 6}

_START_OF_SCAN = 0xDA
_APP0, _APP1, _APP14, _APP15 = 0xE0, 0xE1, 0xEE, 0xEF
_COMMENT = 0xFE
# The first bytes and the minimum length of the application segments that stay.
_USED_SEGMENTS = {_APP0: (b"JFIF\0", 14), _APP1: (b"Exif\0\0", 6), _APP14: (b"Adobe", 12)}
# The chunks of a WebP that stay, and the flags of those that don't: a color profile and XMP.
_WEBP_CHUNKS = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"EXIF")
_WEBP_UNUSED_FLAGS = 0x24
# Markers without a length: TEM, RST0 to RST7, SOI.
_BARE_MARKERS = {0x01, *range(0xD0, 0xD9)}


def strip(data: bytes) -> bytes:
    """The file without unused metadata; damage in what stays is left to the decoder."""
    if data.startswith(PNG):
        return b"".join((PNG, *_used_chunks(data), _PNG_TRAILER))
    if data.startswith(JPEG):
        return b"".join((JPEG[:2], *_used_segments(data)))
    if is_webp(data):
        body = b"".join(_used_webp_chunks(data))
        return data[:4] + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    return data


def is_webp(data: bytes) -> bool:
    return data[:4] + data[8:12] == b"RIFFWEBP"


def _used_chunks(data: bytes) -> Iterator[bytes | memoryview]:
    """The chunks of a PNG before its end; the last one may be cut."""
    view, start, color_type = memoryview(data), len(PNG), -1
    while start + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, start)
        kind = data[start + 4 : start + 8]
        end = start + 12 + length
        if kind == b"IEND":
            return
        if kind == b"IHDR" and length == 13:
            color_type = data[start + 17]
        if kind == b"IDAT" and end > len(data):
            yield from _cut_chunk(view[start + 4 :])
        elif _is_critical(kind, color_type) or _is_sound(view[start:end], color_type):
            yield view[start:end]
        start = end


def _is_critical(kind: bytes, color_type: int) -> bool:
    # Where pixels are not numbers of palette entries, the palette is only a suggestion.
    return kind[:1].isupper() and not (kind == b"PLTE" and color_type != _PALETTE)


def _is_sound(chunk: memoryview, color_type: int) -> bool:
    """Whether it is an undamaged chunk of transparency or EXIF data."""
    kind, length = bytes(chunk[4:8]), len(chunk) - 12
    if kind not in (b"tRNS", b"eXIf") or length < 0:
        return False
    if kind == b"tRNS" and color_type != _PALETTE and length != _TRANSPARENCY_BYTES.get(color_type):
        return False
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:])


def _cut_chunk(rest: memoryview) -> Iterator[bytes | memoryview]:
    """A chunk that the file's end cuts, with a length and checksum of its own: all scan lines may be there."""
    yield struct.pack(">I", len(rest) - 4)
    yield rest
    yield struct.pack(">I", zlib.crc32(rest))


def _used_segments(data: bytes) -> Iterator[memoryview]:
    """The segments of a JPEG, and everything from its first scan on."""
    view, start = memoryview(data), 2
    while (start := data.find(b"\xff", start)) >= 0 and start + 4 <= len(data):
        marker = data[start + 1]
        if marker in (0x00, 0xFF) or marker in _BARE_MARKERS:
            start += 1 if marker == 0xFF else 2
            continue
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
        if marker == _START_OF_SCAN:
            yield view[start:]
            return
        if _is_used(marker, view[start + 4 : end]):
            yield view[start:end]
        start = max(end, start + 2)


def _is_used(marker: int, content: memoryview) -> bool:
    if _APP0 <= marker <= _APP15:
        prefix, least = _USED_SEGMENTS.get(marker, (b"", 1 << 16))
        return len(content) >= least and bytes(content[: len(prefix)]) == prefix
    return marker != _COMMENT


def _used_webp_chunks(data: bytes) -> Iterator[bytes | memoryview]:
    view, start = memoryview(data), 12
    while start + 8 <= len(data):
        kind, (length,) = data[start : start + 4], struct.unpack_from("<I", data, start + 4)
        end = start + 8 + length
        if kind == b"VP8X" and length:
            yield view[start : start + 8]
            yield bytes((data[start + 8] & ~_WEBP_UNUSED_FLAGS,))
            yield view[start + 9 : end]
        elif kind in _WEBP_CHUNKS and not (kind == b"EXIF" and end > len(data)):
            yield view[start:end]
        if kind in _WEBP_CHUNKS and length % 2:
            yield b"\0"
        start = end + length % 2
