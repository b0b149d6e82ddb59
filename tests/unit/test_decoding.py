import io
import struct
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lookbook.errors import ImageTooLarge, InvalidImage, UnsupportedMediaType
from lookbook.model.bundle import InputSpec
from lookbook.model.decoding import FORMATS, decode
from lookbook.model.inference import Classifier
from lookbook.model.preprocessing import to_array
from lookbook.model.thumbnails import make_thumbnail
from PIL import Image

from tests.support.image_formats import chunk, formats, png, quality
from tests.support.images import BOMB, encoded
from tests.support.places import PHOTOS

SPEC = InputSpec(32, 32, "rgb", "pad", (255, 255, 255), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
LIMIT = 25_000_000
IMAGES = sorted(PHOTOS.glob("*.jpg"))[:6]


@pytest.mark.parametrize("times", [2, 3.3, 4, 7, 12, 16])
def test_a_large_jpeg_gets_the_scores_of_the_same_png(clothes: Classifier, times: float) -> None:
    spec = clothes.bundle.input
    for path in IMAGES[::2]:
        image = Image.open(path)
        large = image.resize((int(image.width * times), int(image.height * times)), Image.Resampling.BICUBIC)
        jpeg = encoded(large, "JPEG", progressive=True, **quality("JPEG"))
        same = encoded(Image.open(io.BytesIO(jpeg)), compress_level=1)
        one, other = (decode(data, spec, LIMIT) for data in (jpeg, same))
        assert one.size == other.size
        scores = [clothes.classify(to_array(image, spec)).max() for image in (one, other)]
        assert max(scores) - min(scores) < 0.02


@pytest.mark.parametrize(("side", "decoded"), [(128, 128), (400, 400), (640, 160), (1279, 320), (1280, 160)])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_large_image_is_decoded_to_little_more_than_the_model_needs(format: str, side: int, decoded: int) -> None:
    spec = replace(SPEC, height=128, width=128)
    assert decode(encoded(Image.new("RGB", (side, side)), format), spec, LIMIT).size == (decoded, decoded)


@pytest.mark.parametrize(
    "data",
    [b"hello", b"<html></html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a" + bytes(40), b"%PDF-1.7"],
)
def test_a_file_that_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedMediaType, match="not a JPEG, PNG, or WebP"):
        decode(data, SPEC, LIMIT)


@pytest.mark.parametrize("format", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_an_image_in_another_format_is_refused(format: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        decode(encoded(Image.new("RGB", (32, 32)), format), SPEC, LIMIT)


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(InvalidImage, match="empty"):
        decode(b"", SPEC, LIMIT)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_truncated_image_is_refused(format: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(Image.fromarray(noise), format)
    with pytest.raises(InvalidImage):
        decode(data[: max(12, int(len(data) * share))], SPEC, LIMIT)


def test_an_image_with_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    assert len(BOMB) < 200_000
    with pytest.raises(ImageTooLarge, match=r"169\.0 megapixels; the limit is 25\.0"):
        decode(BOMB[:1000], SPEC, LIMIT)


@pytest.mark.parametrize(
    ("mode", "format", "size", "limit"),
    [
        ("RGB", "WEBP", (4000, 3200), "12.8 megapixels; the limit is 12.5 for WEBP"),
        ("CMYK", "JPEG", (4000, 5000), "20.0 megapixels; the limit is 18.8 for CMYK"),
        ("L", "PNG", (1, 65_536), "65536 pixels; the limit is 65535"),
    ],
)
def test_the_limit_is_lower_for_images_that_need_more_memory(
    mode: str, format: str, size: tuple[int, int], limit: str
) -> None:
    with pytest.raises(ImageTooLarge, match=limit):
        decode(encoded(Image.new(mode, size), format), SPEC, LIMIT)


@pytest.mark.parametrize(("format", "side"), [("JPEG", 5000), ("PNG", 5000), ("WEBP", 3530)])
def test_an_image_at_the_limit_is_accepted(format: str, side: int) -> None:
    assert to_array(decode(encoded(Image.new("RGB", (side, side)), format), SPEC, LIMIT), SPEC).max() == 0


def test_compressed_texts_take_no_memory() -> None:
    text = chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(10_000_000)))
    data = png((1, 1), 8, 0, b"\0\0", before=text * 9)
    tracemalloc.start()
    try:
        decode(data, SPEC, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [(1301, 1103), (20_001, 3), (3, 20_001)])
def test_a_large_image_has_no_seams_between_its_tiles(size: tuple[int, int]) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8))
    plain, opaque = (decode(encoded(image, compress_level=1), SPEC, LIMIT) for image in (noise, noise.convert("RGBA")))
    assert np.array_equal(np.asarray(plain), np.asarray(opaque))


@pytest.mark.parametrize("format", FORMATS)
def test_damaged_exif_data_is_ignored(format: str) -> None:
    image = Image.open(IMAGES[0])
    damaged = encoded(image, format, exif=b"Exif\0\0no TIFF", **quality(format))
    whole = encoded(image, format, **quality(format))
    assert decode(damaged, SPEC, LIMIT).tobytes() == decode(whole, SPEC, LIMIT).tobytes()


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBPVP8 "])
)
def test_noise_is_refused_with_an_error_of_ours(noise: bytes, head: bytes) -> None:
    with pytest.raises((InvalidImage, ImageTooLarge, UnsupportedMediaType)):
        decode(head + noise, SPEC, LIMIT)


def with_valid_checksums(data: bytes) -> bytes:
    """A PNG whose chunks are read in spite of mutations; any other file unchanged."""
    fixed = bytearray(data)
    start = 8
    while data.startswith(b"\x89PNG") and start + 12 <= len(fixed):
        end = start + 8 + int.from_bytes(fixed[start : start + 4])
        fixed[end : end + 4] = struct.pack(">I", zlib.crc32(fixed[start + 4 : end]))[: max(0, len(fixed) - end)]
        start = end + 4
    return bytes(fixed)


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 12))):
        at = int(rng.integers(len(changed)))
        match int(rng.integers(4)):
            case 0:
                changed[at] = int(rng.integers(256))
            case 1:
                del changed[at : at + int(rng.integers(1, 64))]
            case 2:
                changed[at:at] = rng.bytes(int(rng.integers(1, 64)))
            case _:
                changed[at : at + 4] = struct.pack(">I", int(rng.integers(1 << 32)))
        if not changed:
            changed = bytearray(1)
    return bytes(changed) if rng.integers(2) else with_valid_checksums(bytes(changed))


def originals() -> dict[str, bytes]:
    image = Image.open(IMAGES[0]).resize((48, 64))
    turned = image.transpose(Image.Transpose.ROTATE_180)
    exif = Image.Exif()
    exif[0x0112] = 8
    return {
        **{format: unusual for format, (unusual, _) in formats(image).items()},
        "progressive": encoded(image, "JPEG", progressive=True, exif=exif, icc_profile=b"profile"),
        "lossy WebP": encoded(image, "WEBP", exif=exif),
        "tRNS": encoded(image.convert("P"), transparency=3),
        "two frames": encoded(image, "MPO", save_all=True, append_images=[turned]),
        "texts": png(image.size, 8, 2, bytes(145 * 64), before=chunk(b"zTXt", b"key\0\0" + zlib.compress(b"text"))),
        "animated": encoded(image, "PNG", save_all=True, append_images=[turned]),
    }


# Pillow warns about damaged frames after the first one, which decode() does not read.
@pytest.mark.filterwarnings("ignore:Invalid APNG", "ignore:Image appears to be a malformed MPO file")
@pytest.mark.parametrize("format", originals())
def test_a_mutated_image_is_decoded_or_refused(format: str) -> None:
    original, rng = originals()[format], np.random.default_rng(len(format))
    for _ in range(400):
        try:
            image = decode(mutated(original, rng), SPEC, 1_000_000)
        except (InvalidImage, ImageTooLarge, UnsupportedMediaType):
            continue
        else:
            assert np.isfinite(to_array(image, SPEC)).all()
            assert make_thumbnail(image)
