import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lookbook.errors import ImageTooLarge, InvalidImage, UnsupportedMediaType
from lookbook.model.bundle import InputSpec
from lookbook.model.decoding import FORMATS, decode
from lookbook.model.inference import Classifier
from lookbook.model.preprocessing import preprocess, to_array
from lookbook.model.thumbnails import make_thumbnail
from PIL import Image

from tests.support.images import encoded
from tests.support.places import BAG, PHOTOS

SPEC = InputSpec(32, 32, "rgb", "pad", (255, 255, 255), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
LIMIT = 25_000_000
PICTURES = sorted(PHOTOS.glob("*.jpg"))[:6]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size: tuple[int, int], bits: int, color: int, rows: bytes, interlace: int = 0, before: bytes = b"") -> bytes:
    """A PNG of a kind that Pillow reads but does not write."""
    head = struct.pack(">IIBBBBB", *size, bits, color, 0, 0, interlace)
    data = chunk(b"IHDR", head) + before + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def interlaced(image: Image.Image) -> bytes:
    pixels = np.asarray(image.convert("RGB"))
    rows = b""
    for x, y, across, down in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):  # fmt: skip  # noqa: E501
        part = pixels[y::down, x::across]
        rows += b"".join(b"\0" + row.tobytes() for row in part if row.size)
    return png(image.size, 8, 2, rows, interlace=1)


def sixteen_bit(image: Image.Image, hidden: tuple[int, ...] = ()) -> bytes:
    """The picture in 16 bits; where it has the hidden colour it is transparent."""
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    lower = np.random.default_rng(1).integers(0, 256, pixels.shape, np.uint16)
    before = b""
    if hidden:
        lower[(pixels == hidden).all(axis=2)] = 7
        before = chunk(b"tRNS", struct.pack(f">{len(hidden)}H", *(value * 256 + 7 for value in hidden)))
    rows = b"".join(b"\0" + row.tobytes() for row in (pixels * np.uint16(256) + lower).astype(">u2"))
    return png(image.size, 16, {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}[image.mode], rows, before=before)


def with_hidden(image: Image.Image) -> tuple[bytes, bytes]:
    """The picture in 16 bits with its left half transparent, and what it shows on white."""
    colour = (9, 8, 5)[: len(image.getbands())]
    odd = image.copy()
    odd.paste(colour, (0, 0, image.width // 2, image.height))
    shown = np.asarray(odd.convert("RGB")).copy()
    hidden = np.asarray(odd).reshape(image.height, image.width, -1) == colour
    shown[hidden.all(axis=2)] = 255
    return sixteen_bit(odd, colour), encoded(Image.fromarray(shown))


def few_greys(image: Image.Image, bits: int) -> tuple[bytes, bytes]:
    """The picture in greys of so few bits, one of the darkest transparent, and what it shows on white."""
    greys = np.asarray(image.convert("L").crop((0, 0, image.width // 8 * 8, image.height))) >> 8 - bits
    shown = np.where(greys == 1, 255, greys * (255 // (2**bits - 1))).astype(np.uint8)
    spread = np.unpackbits(greys[:, :, None], axis=2)[:, :, -bits:].reshape(len(greys), -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(spread, axis=1))
    return png(greys.shape[::-1], bits, 0, rows, before=chunk(b"tRNS", b"\0\1")), encoded(Image.fromarray(shown))


def rotated(image: Image.Image, format: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image.transpose(Image.Transpose.ROTATE_90), format, exif=exif, **quality(format))


def quality(format: str) -> dict[str, int]:
    return {"quality": 95, "subsampling": 0} if format == "JPEG" else {}


def transparent(image: Image.Image) -> tuple[bytes, bytes]:
    """The picture with its left half transparent over a wrong colour, and what it shows on white."""
    odd = image.convert("RGB")
    odd.paste((0, 200, 0), (0, 0, image.width // 2, image.height))
    shown = image.convert("RGB")
    shown.paste((255, 255, 255), (0, 0, image.width // 2, image.height))
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, image.width // 2, image.height))
    odd.putalpha(alpha)
    return encoded(odd), encoded(shown)


def forms(image: Image.Image) -> dict[str, tuple[bytes, bytes]]:
    """The picture in each odd form, with the plain 8-bit RGB picture that it must be taken for."""
    rgb = encoded(image.convert("RGB"))
    palette = image.convert("P", palette=Image.Palette.ADAPTIVE)
    cmyk = encoded(image.convert("CMYK"), "JPEG", **quality("JPEG"))
    grey = encoded(image.convert("L").convert("RGB"))
    alpha, shown = transparent(image)
    grey_alpha, grey_shown = transparent(image.convert("L"))
    return {
        "16-bit grey": (sixteen_bit(image.convert("L")), grey),
        "16-bit colour": (sixteen_bit(image.convert("RGB")), rgb),
        "16-bit colour with alpha": (sixteen_bit(Image.open(io.BytesIO(alpha))), shown),
        "16-bit grey with alpha": (sixteen_bit(Image.open(io.BytesIO(grey_alpha)).convert("LA")), grey_shown),
        "16-bit grey with a transparent colour": with_hidden(image.convert("L")),
        "16-bit colour with a transparent colour": with_hidden(image.convert("RGB")),
        "2-bit grey with a transparent colour": few_greys(image, 2),
        "4-bit grey with a transparent colour": few_greys(image, 4),
        "8-bit grey": (encoded(image.convert("L")), grey),
        "CMYK": (cmyk, rgb),
        "palette": (encoded(palette), encoded(palette.convert("RGB"))),
        "interlaced": (interlaced(image), rgb),
        "transparent": (alpha, shown),
        "rotated PNG": (rotated(image, "PNG"), rgb),
        "rotated JPEG": (rotated(image, "JPEG"), encoded(image, "JPEG", **quality("JPEG"))),
        "WebP": (encoded(image, "WEBP", lossless=True), rgb),
        "black and white": (encoded(image.convert("1")), encoded(image.convert("1").convert("RGB"))),
    }


@pytest.mark.parametrize("form", forms(Image.new("RGB", (8, 8))))
def test_odd_forms_are_classified_as_the_same_picture(clothes: Classifier, form: str) -> None:
    for path in PICTURES:
        odd, plain = forms(Image.open(path))[form]
        scores, expected = (clothes.classify(preprocess(data, clothes.bundle.input, LIMIT)) for data in (odd, plain))
        best = int(expected.argmax())
        assert abs(scores[best] - expected[best]) < 0.02, f"{form} of {path.name}"
        assert int(scores.argmax()) == best or expected.max() - np.sort(expected)[-2] < 0.02


def test_a_drawing_is_read_to_the_last_bit(classifier: Classifier) -> None:
    array = preprocess(BAG.read_bytes(), classifier.bundle.input, LIMIT)
    assert array.dtype == np.float32
    assert np.array_equal(np.rint(array[0, :, :, 0] * 255).astype(np.uint8), np.asarray(Image.open(BAG)))


@pytest.mark.parametrize("times", [2, 3.3, 4, 7, 12, 16])
def test_a_large_jpeg_is_taken_for_the_same_png(clothes: Classifier, times: float) -> None:
    spec = clothes.bundle.input
    for path in PICTURES[::2]:
        image = Image.open(path)
        large = image.resize((int(image.width * times), int(image.height * times)), Image.Resampling.BICUBIC)
        jpeg = encoded(large, "JPEG", progressive=True, **quality("JPEG"))
        same = encoded(Image.open(io.BytesIO(jpeg)), compress_level=1)
        one, other = (decode(data, spec, LIMIT) for data in (jpeg, same))
        assert one.size == other.size
        scores = [clothes.classify(to_array(image, spec)).max() for image in (one, other)]
        assert max(scores) - min(scores) < 0.02


@pytest.mark.parametrize(
    "data",
    [b"hello", b"<html></html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a" + bytes(40), b"%PDF-1.7"],
)
def test_what_is_no_jpeg_png_or_webp_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedMediaType, match="not a JPEG, PNG or WebP"):
        decode(data, SPEC, LIMIT)


def test_real_pictures_of_other_formats_are_refused() -> None:
    for format in ("GIF", "BMP", "TIFF", "PPM", "ICO"):
        with pytest.raises(UnsupportedMediaType):
            decode(encoded(Image.new("RGB", (32, 32)), format), SPEC, LIMIT)


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(InvalidImage, match="empty"):
        decode(b"", SPEC, LIMIT)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(format: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(Image.fromarray(noise), format)
    with pytest.raises(InvalidImage):
        decode(data[: max(12, int(len(data) * share))], SPEC, LIMIT)


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    data = encoded(Image.new("L", (13_000, 13_000)))
    assert len(data) < 200_000
    with pytest.raises(ImageTooLarge, match=r"169\.0 megapixels; the limit is 25\.0"):
        decode(data[:1000], SPEC, LIMIT)


@pytest.mark.parametrize(
    ("mode", "format", "size", "limit"),
    [
        ("RGB", "WEBP", (4000, 3200), "12.8 megapixels; the limit is 12.5 for WEBP"),
        ("CMYK", "JPEG", (4000, 5000), "20.0 megapixels; the limit is 18.8 for CMYK"),
        ("L", "PNG", (1, 65_536), "65536 pixels; the limit is 65535"),
    ],
)
def test_what_takes_more_memory_has_a_lower_limit(mode: str, format: str, size: tuple[int, int], limit: str) -> None:
    with pytest.raises(ImageTooLarge, match=limit):
        decode(encoded(Image.new(mode, size), format), SPEC, LIMIT)


@pytest.mark.parametrize(("format", "side"), [("JPEG", 5000), ("PNG", 5000), ("WEBP", 3530)])
def test_a_picture_at_the_limit_is_read(format: str, side: int) -> None:
    assert to_array(decode(encoded(Image.new("RGB", (side, side)), format), SPEC, LIMIT), SPEC).max() == 0


def test_texts_that_unpack_to_much_take_no_memory() -> None:
    text = chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(10_000_000)))
    data = png((1, 1), 8, 0, b"\0\0", before=text * 9)
    tracemalloc.start()
    try:
        decode(data, SPEC, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [(1301, 1103), (20_001, 3), (3, 20_001)])
def test_a_large_picture_has_no_seams(size: tuple[int, int]) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8))
    plain, opaque = (decode(encoded(image, compress_level=1), SPEC, LIMIT) for image in (noise, noise.convert("RGBA")))
    assert np.array_equal(np.asarray(plain), np.asarray(opaque))


@pytest.mark.parametrize("resize", ["pad", "stretch", "crop"])
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (31, 33), (32, 32), (400, 300)])
@pytest.mark.parametrize("color", ["rgb", "grayscale"])
def test_every_shape_fits(resize: str, size: tuple[int, int], color: str) -> None:
    channels = 3 if color == "rgb" else 1
    spec = InputSpec(32, 24, color, resize, (255, 255, 255), (0.5,) * channels, (0.5,) * channels)
    array = preprocess(encoded(Image.new("RGB", size, (0, 0, 0))), spec, LIMIT)
    assert array.shape == (1, 32, 24, channels)
    assert float(array.min()) == -1
    assert float(array.max()) == (1 if resize == "pad" and size[0] * 32 != size[1] * 24 else -1)


def test_padding_centres_the_picture() -> None:
    array = to_array(Image.new("RGB", (16, 32)), SPEC)[0, :, :, 0]
    assert array[:, :8].min() == 1
    assert array[:, 8:24].max() == 0
    assert array[:, 24:].min() == 1


def test_a_thumbnail_is_a_small_webp() -> None:
    image = Image.open(io.BytesIO(make_thumbnail(Image.open(PHOTOS / "shirt.jpg"))))
    assert image.format == "WEBP"
    assert max(image.size) == 96


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBPVP8 "])
)
def test_noise_is_refused_and_nothing_else_happens(noise: bytes, head: bytes) -> None:
    with pytest.raises((InvalidImage, ImageTooLarge, UnsupportedMediaType)):
        decode(head + noise, SPEC, LIMIT)


def checked(data: bytes) -> bytes:
    """A PNG with its chunks' checksums made right, so that what is wrong in them is read; anything else as it is."""
    made = bytearray(data)
    at = 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(made):
        end = at + 8 + int.from_bytes(made[at : at + 4])
        made[end : end + 4] = struct.pack(">I", zlib.crc32(made[at + 4 : end]))[: max(0, len(made) - end)]
        at = end + 4
    return bytes(made)


def mutations(data: bytes, count: int, seed: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
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
        made += [bytes(changed)] if rng.integers(2) else [checked(bytes(changed))]
    return made


def originals() -> dict[str, bytes]:
    image = Image.open(PICTURES[0]).resize((48, 64))
    exif = Image.Exif()
    exif[0x0112] = 8
    return {
        **{form: odd for form, (odd, _) in forms(image).items()},
        "progressive": encoded(image, "JPEG", progressive=True, exif=exif, icc_profile=b"profile"),
        "lossy WebP": encoded(image, "WEBP", exif=exif),
        "tRNS": encoded(image.convert("P"), transparency=3),
        "two frames": encoded(image, "MPO", save_all=True, append_images=[image.transpose(Image.Transpose.ROTATE_180)]),
        "texts": png(image.size, 8, 2, bytes(145 * 64), before=chunk(b"zTXt", b"key\0\0" + zlib.compress(b"text"))),
        "animated": encoded(image, "PNG", save_all=True, append_images=[image.transpose(Image.Transpose.ROTATE_180)]),
    }


@pytest.mark.parametrize("format", FORMATS)
def test_a_picture_whose_exif_data_are_broken_is_whole(format: str) -> None:
    image = Image.open(PICTURES[0])
    broken = encoded(image, format, exif=b"Exif\0\0no TIFF", **quality(format))
    assert np.array_equal(
        preprocess(broken, SPEC, 1_000_000), preprocess(encoded(image, format, **quality(format)), SPEC, 1_000_000)
    )


# Pillow warns of broken frames in a picture of which the first is read all the same.
@pytest.mark.filterwarnings("ignore:Invalid APNG", "ignore:Image appears to be a malformed MPO file")
@pytest.mark.parametrize("form", originals())
def test_thousands_of_mutated_pictures_end_in_an_answer_or_a_refusal(form: str) -> None:
    for data in mutations(originals()[form], 400, seed=len(form)):
        try:
            image = decode(data, SPEC, 1_000_000)
        except (InvalidImage, ImageTooLarge, UnsupportedMediaType):
            continue
        else:
            assert np.isfinite(to_array(image, SPEC)).all()
            assert make_thumbnail(image)
