"""Metadata that Lookbook does not use never decides whether an image is accepted."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lookbook.errors import InvalidImage, UnsupportedMediaType
from lookbook.model.bundle import InputSpec
from lookbook.model.decoding import decode
from lookbook.model.metadata import strip
from PIL import Image

from tests.support.image_formats import chunk
from tests.support.images import encoded
from tests.support.places import PHOTOS

SPEC = InputSpec(96, 96, "rgb", "stretch", (255, 255, 255), (0.0,) * 3, (1.0,) * 3)
NOISE = os.urandom(1000) * 2100
SHIRT = Image.open(PHOTOS / "shirt.jpg")
ALPHA = Image.merge("RGBA", (*SHIRT.split(), Image.linear_gradient("L").resize(SHIRT.size)))
PNG = encoded(SHIRT)
JPEG = encoded(SHIRT, "JPEG", quality=90)
WEBP = encoded(ALPHA, "WEBP", icc_profile=NOISE[:500], xmp=b"<x>" * 100)
IHDR_END, IEND = 33, 12


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def pixels(data: bytes) -> bytes:
    return decode(data, SPEC, 25_000_000).tobytes()


COMPRESSED = zlib.compress(NOISE)
CHUNKS = {
    "a color profile of 2 MB": chunk(b"iCCP", b"p\0\0" + COMPRESSED),
    "a color profile that is none": chunk(b"iCCP", b"p\0\0notzlib"),
    "compressed XMP of 2 MB": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + COMPRESSED),
    "XMP of 3 MB": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<x>" * 1_000_000),
    "a text with a wrong checksum": chunk(b"tEXt", b"a\0b", checksum=1),
    "a compressed text of 2 MB": chunk(b"zTXt", b"c\0\0" + COMPRESSED),
    "a short gamma": chunk(b"gAMA", b"\0"),
    "an empty sRGB": chunk(b"sRGB", b""),
    "short chromaticities": chunk(b"cHRM", b"\0\0"),
    "a short density": chunk(b"pHYs", b"\0"),
    "EXIF that is none": chunk(b"eXIf", b"\0garbage"),
    "EXIF with a wrong checksum": chunk(b"eXIf", b"MM\0*\0\0\0\x08", checksum=1),
    "transparency of a wrong length": chunk(b"tRNS", b"\0"),
    "transparency with a wrong checksum": chunk(b"tRNS", b"\0" * 6, checksum=1),
    "a suggested palette of a wrong length": chunk(b"PLTE", b"\0\0"),
    "a broken animation": chunk(b"acTL", b"\0") + chunk(b"fcTL", b"\0"),
    "a chunk of somebody's own": chunk(b"prVt", b"anything"),
}


@pytest.mark.parametrize("kind", CHUNKS)
@pytest.mark.parametrize("place", [IHDR_END, -IEND], ids=["before the pixels", "after them"])
def test_a_png_is_accepted_with(kind: str, place: int) -> None:
    assert pixels(PNG[:place] + CHUNKS[kind] + PNG[place:]) == pixels(PNG)


SEGMENTS = {
    "a short Adobe segment": segment(0xEE, b"Adobe\0"),
    "a short JFIF segment": segment(0xE0, b"JFIF\0\1"),
    "a short color profile": segment(0xE2, b"ICC_PROFILE\0"),
    "a color profile out of order": segment(0xE2, b"ICC_PROFILE\0\7\2" + b"x" * 50),
    "a broken multi-picture index": segment(0xE2, b"MPF\0garbage"),
    "EXIF that is none": segment(0xE1, b"Exif\0\0garbage"),
    "XMP": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x"),
    "broken Photoshop data": segment(0xED, b"Photoshop 3.0\08BIM\4\4"),
    "a comment": segment(0xFE, b"\xff\xd9"),
    "an empty segment": segment(0xE5, b""),
    "bytes between segments": b"\0\1\2",
    "fill bytes": b"\xff" * 9,
}


@pytest.mark.parametrize("kind", SEGMENTS)
def test_a_jpeg_is_accepted_with(kind: str) -> None:
    if kind != "bytes between segments":  # a JPEG begins with a marker
        assert pixels(JPEG[:2] + SEGMENTS[kind] + JPEG[2:]) == pixels(JPEG)
    after = 4 + int.from_bytes(JPEG[4:6])
    assert pixels(JPEG[:after] + SEGMENTS[kind] + JPEG[after:]) == pixels(JPEG)


@pytest.mark.parametrize("data", [PNG, JPEG, WEBP], ids=["PNG", "JPEG", "WebP"])
def test_bytes_after_the_end_do_not_matter(data: bytes) -> None:
    assert pixels(data + b"more" * 1000) == pixels(data)


def test_a_webp_without_profile_and_xmp_is_the_same() -> None:
    assert b"ICCP" in WEBP
    assert not {b"ICCP", b"XMP "} & {strip(WEBP)[at : at + 4] for at in range(len(strip(WEBP)))}
    assert pixels(WEBP) == pixels(encoded(ALPHA, "WEBP"))


def test_a_webp_with_cut_xmp_is_whole() -> None:
    assert pixels(WEBP[:-50]) == pixels(WEBP)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_orientation_stays(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    width, height = decode(encoded(SHIRT, kind, exif=exif), SPEC, 25_000_000).size
    assert (width > height) == (SHIRT.height > SHIRT.width)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_transparency_stays(mode: str) -> None:
    image = Image.new(mode, (40, 40))
    white = Image.new("RGB", (40, 40), "white").tobytes()
    assert pixels(encoded(image, transparency=0 if mode != "RGB" else (0, 0, 0))) == white


def test_the_color_transform_stays() -> None:
    image = Image.new("CMYK", (40, 40), (0, 255, 255, 0))
    red, green, blue = np.asarray(decode(encoded(image, "JPEG"), SPEC, 25_000_000))[20, 20]
    assert red > 200
    assert max(green, blue) < 60


def cut_png(missing: int) -> bytes:
    """The PNG without its end chunk, and without the last `missing` bytes of its pixels' stream and checksum."""
    return PNG[: -IEND - missing]


WHOLE: dict[str, Callable[[], bytes]] = {
    "a PNG without its end": lambda: cut_png(0),
    "a PNG without its last checksum": lambda: cut_png(4),
    "a PNG without the checksum of its stream": lambda: cut_png(8),
    "an interlaced PNG without its end": lambda: interlaced()[: -IEND - 8],
    "a JPEG without its end": lambda: JPEG[:-2],
    "a JPEG with half an end": lambda: JPEG[:-1],
    "a progressive JPEG without its end": lambda: encoded(SHIRT, "JPEG", progressive=True)[:-2],
}


def interlaced() -> bytes:
    """A gray PNG of 1 x 1 pixels, interlaced; Pillow writes none."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\x80")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", WHOLE)
def test_a_missing_end_does_not_matter(kind: str) -> None:
    decode(WHOLE[kind](), SPEC, 25_000_000)


def test_a_missing_end_changes_no_pixel() -> None:
    assert pixels(cut_png(8)) == pixels(PNG)
    assert pixels(JPEG[:-2]) == pixels(JPEG)


CUT = {
    "a PNG with half of its pixels": PNG[: len(PNG) // 2],
    "a PNG without its last scan line": cut_png(4 + 4 + 40),
    "an interlaced PNG without pixels": interlaced()[:43],
    "a JPEG with half of its pixels": JPEG[: len(JPEG) // 2],
    "a JPEG without its last pixels": JPEG[:-40],
    "a progressive JPEG without its last pixels": encoded(SHIRT, "JPEG", progressive=True)[:-3],
    "a WebP with half of its pixels": WEBP[: len(WEBP) // 2],
}


@pytest.mark.parametrize("kind", CUT)
def test_truncated_pixels_are_refused(kind: str) -> None:
    with pytest.raises(InvalidImage):
        decode(CUT[kind], SPEC, 25_000_000)


@pytest.mark.parametrize("path", sorted(PHOTOS.glob("*.jpg")), ids=lambda path: path.stem)
def test_photographs_lose_nothing_but_metadata(path: Path) -> None:
    data = path.read_bytes()
    assert Image.open(io.BytesIO(strip(data))).tobytes() == Image.open(io.BytesIO(data)).tobytes()


@pytest.mark.parametrize(("brand", "kind"), [(b"avif", "AVIF"), (b"heic", "HEIC"), (b"mif1", "HEIC")])
def test_formats_of_phones_are_named(brand: bytes, kind: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=f"{kind} images are not supported; convert the file to JPEG"):
        decode(b"\0\0\0\x18ftyp" + brand + bytes(100), SPEC, 25_000_000)
