"""What `lookbook model build` is given. Imported without Keras. Tests: tests/unit/test_build.py."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lookbook.model.bundle import BundleError

# Pixel ranges that a model may expect, black to white, and the mean and standard deviation that give them.
RANGES = {"0..255": (0.0, 1 / 255), "0..1": (0.0, 1.0), "-1..1": (0.5, 0.5)}
# The same, as the values of black and white.
ENDS = {"0..255": (0, 255), "0..1": (0, 1), "-1..1": (-1, 1)}
RESIZES = ("stretch", "pad", "crop")


class Source(NamedTuple):
    """A saved Keras model and what its owner knows about it.

    `pixels` is one of RANGES, or None to detect it; `images` are paths of images to compare the bundle with Keras,
    `truth` the numbers of the labels of those whose label is known.
    """

    model: Path
    labels: Sequence[str]
    name: str
    version: str
    license: str
    pixels: str | None
    resize: str
    images: Sequence[str]
    truth: Mapping[str, int]


def read_labels(path: Path) -> list[str]:
    """The labels in a text file, one per line; they may repeat. Raises BundleError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from error
    labels = [line.strip() for line in lines if line.strip()]
    if len(labels) < 2:
        raise BundleError(f"{path}: must have two or more labels, one per line")
    return labels


def told_apart(labels: Sequence[str]) -> list[str]:
    """The labels, all different: those that repeat have a number, such as `crane (2)`."""
    given, found = set(labels), dict[str, None]()
    for label in labels:
        unique, number = label, 1
        while unique in found or (number > 1 and unique in given):
            number += 1
            unique = f"{label} ({number})"
        found[unique] = None
    return list(found)
