"""JPEG, PNG, and WebP files decoded to images, no larger than needed."""

import io
import struct
import zlib

from PIL import ExifTags, Image, ImageFile
from PIL.WebPImagePlugin import WebPImageFile

from lookbook.errors import ImageTooLarge, InvalidImage, UnsupportedMediaType
from lookbook.model.bundle import InputSpec
from lookbook.model.metadata import JPEG, PNG, is_webp, strip
from lookbook.model.reduction import reduce
from lookbook.model.thumbnails import THUMBNAIL_SIDE
from lookbook.model.truncation import completed

FORMATS = ("JPEG", "PNG", "WEBP")

_SAVE_AGAIN = "save it again as JPEG or PNG, and send that"

# The longest side of a JPEG. Each row takes memory of its own, however short it is.
_MAX_SIDE = 65_535

# The decoded resolution, as a multiple of the model's input: an image of 640 pixels becomes 160 for a model of 128.
_MARGIN = 1.25
# Images up to this multiple stay whole. The golden images of bundles are no larger, and must keep their scores.
_WHOLE = 3.2

# Memory per pixel during decoding: up to six bytes, as in a progressive JPEG, with these exceptions.
_BYTES_PER_PIXEL = 6
_MORE_BYTES_PER_PIXEL = {"CMYK": 8, "WEBP": 12}

# What scales gray levels of two or four bits to eight bits.
_GRAY_STEPS = {"L;2": 85, "L;4": 17}

_CHECKSUM_ROWS = 256

# What phones write, by the brand in the file. Source: https://mp4ra.org/registered-types/brands
_PHONE_FORMATS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
}

# What Pillow's decoders raise for damaged files.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    OverflowError,
    AssertionError,
)

_TRANSPOSE_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes, spec: InputSpec, max_pixels: int) -> Image.Image:
    """Upright "RGB" or "L" image, no larger than the model and the thumbnail need.

    Raises InvalidImage, ImageTooLarge (before decoding), or UnsupportedMediaType.
    """
    data = strip(data)
    file = _open(data)
    _check_size(file, max_pixels)
    try:
        image = _load_reduced(file, spec)
    except _DECODER_ERRORS as error:
        found = _load_completed(data, spec)
        if found is None:
            raise InvalidImage(f"the image cannot be decoded: {error}; {_SAVE_AGAIN}") from error
        image = found
    if image.mode == "RGBA":
        canvas = Image.new("RGB", image.size, spec.background)
        canvas.paste(image, mask=image.getchannel("A"))
        image = canvas
    orientation = _orientation(file)
    if orientation in _TRANSPOSE_BY_ORIENTATION:
        image = image.transpose(_TRANSPOSE_BY_ORIENTATION[orientation])
    return image


def _open(data: bytes) -> ImageFile.ImageFile:
    if Image.MAX_IMAGE_PIXELS is not None:
        raise RuntimeError("call lookbook.model.pillow.configure_pillow() before decoding images")
    if not data:
        raise InvalidImage("the file is empty")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except _DECODER_ERRORS as error:
        if data.startswith((JPEG, PNG)) or is_webp(data):
            raise InvalidImage(f"the image is damaged at its beginning; {_SAVE_AGAIN}") from error
        kind = _PHONE_FORMATS.get(data[8:12]) if data[4:8] == b"ftyp" else None
        if kind:
            raise UnsupportedMediaType(f"{kind} images are not supported; convert the file to JPEG") from error
        raise UnsupportedMediaType("the file is not a JPEG, PNG, or WebP image") from error


def _check_size(image: Image.Image, max_pixels: int) -> None:
    """Raises ImageTooLarge; the limit is lower for images that need more memory per pixel."""
    if max(image.size) > _MAX_SIDE:
        raise ImageTooLarge(
            f"the longer side of the image has {max(image.size)} pixels; the limit is {_MAX_SIDE}: make it smaller"
        )
    kind = image.format if image.format in _MORE_BYTES_PER_PIXEL else image.mode
    limit = max_pixels * _BYTES_PER_PIXEL // _MORE_BYTES_PER_PIXEL.get(kind, _BYTES_PER_PIXEL)
    pixels = image.width * image.height
    if pixels > limit:
        suffix = f" for {kind}" if kind in _MORE_BYTES_PER_PIXEL else ""
        raise ImageTooLarge(
            f"the image has {pixels / 1e6:.1f} megapixels; the limit is {limit / 1e6:.1f}{suffix}: make it smaller"
        )


def _load_reduced(file: ImageFile.ImageFile, spec: InputSpec) -> Image.Image:
    """The first frame, reduced before anything else is done: alpha and orientation then cost little."""
    share = _useful_share(file, spec)
    longer = max(file.size)
    # First the power of two that a JPEG decoder can skip, then the rest, so that a JPEG and the same image as PNG get
    # the same scores.
    power = max(power for power in (1, 2, 4, 8) if power == 1 or power * share <= 1)
    factor = power * int(1 / (power * share))
    file.draft(None, (max(1, file.width // power), max(1, file.height // power)))
    image = _load(file)
    return reduce(image, round(factor * max(image.size) / longer))


def _load_completed(data: bytes, spec: InputSpec) -> Image.Image | None:
    """The image of a file that lacks only its end; None if pixels are missing, too."""
    candidates = completed(data)
    try:
        if len(candidates) > 1 and len({_checksum(_open(candidate)) for candidate in candidates}) > 1:
            return None
        return _load_reduced(_open(candidates[0]), spec) if candidates else None
    except (*_DECODER_ERRORS, InvalidImage):
        return None


def _checksum(image: Image.Image) -> int:
    """The checksum of all pixels, a few rows at a time, because a copy of a large image would not fit into memory."""
    checksum = 0
    for top in range(0, image.height, _CHECKSUM_ROWS):
        rows = image.crop((0, top, image.width, min(top + _CHECKSUM_ROWS, image.height)))
        checksum = zlib.crc32(rows.tobytes(), checksum)
    return checksum


def _useful_share(image: Image.Image, spec: InputSpec) -> float:
    """The share of the image's resolution, from 0 to 1, that the model or a thumbnail needs."""
    fit = min if spec.resize == "pad" else max
    short, long = sorted(image.size)
    narrow, wide = sorted((spec.width, spec.height))
    # The margin leaves the quality to the last, smooth resize. Whether the image will be turned is not known yet.
    needed = max(fit(narrow / short, wide / long), fit(wide / short, narrow / long))
    return 1.0 if needed * _WHOLE > 1 else max(_MARGIN * needed, min(1.0, THUMBNAIL_SIDE / long))


def _load(image: ImageFile.ImageFile) -> Image.Image:
    """The first frame as stored."""
    if isinstance(image, WebPImageFile):
        # load() would make another copy.
        data, _, _ = image._get_next()
        return Image.frombuffer(image.rawmode, image.size, data, "raw", image.rawmode, 0, 1)
    if image.mode == "P" and not image.palette:
        raise InvalidImage(f"the image has no palette for its colors; {_SAVE_AGAIN}")
    _scale_transparency(image)
    image.load()
    return image


def _scale_transparency(image: ImageFile.ImageFile) -> None:
    """Pillow scales the pixels of a PNG to eight bits, but not its transparent color."""
    stored = image.tile[0].args if image.tile else None
    color = image.info.get("transparency")
    if stored == "RGB;16B" and isinstance(color, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in color)
    elif stored in _GRAY_STEPS and isinstance(color, int):
        image.info["transparency"] = color * _GRAY_STEPS[stored]


def _orientation(image: Image.Image) -> int | None:
    """The orientation in the EXIF data; damaged EXIF data is ignored, because the image itself is complete."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except _DECODER_ERRORS:
        return None
