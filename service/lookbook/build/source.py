"""What `lookbook model build` is given. Imported without Keras. Tests: tests/unit/test_build.py."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lookbook.model.bundle import BundleError

# Pixel ranges that a model may expect, black to white, and the mean and standard deviation that give them.
RANGES = {"0..255": (0.0, 1 / 255), "0..1": (0.0, 1.0), "-1..1": (0.5, 0.5)}
RESIZES = ("stretch", "pad", "crop")


class Source(NamedTuple):
    """A .keras file and what its owner knows about it.

    `pixels` is one of RANGES, or None to detect it; `images` are paths of images to compare the bundle with Keras.
    """

    model: Path
    labels: Sequence[str]
    name: str
    version: str
    license: str
    pixels: str | None
    resize: str
    images: Sequence[str]


def read_labels(path: Path) -> list[str]:
    """The labels in a text file, one per line. Raises BundleError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from error
    labels = [line.strip() for line in lines if line.strip()]
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise BundleError(f"{path}: must have two or more different labels, one per line")
    return labels
