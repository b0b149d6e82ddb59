"""Fashion-MNIST and clothing photographs, read from folders and split."""

import csv
import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
    "Hat",
    "Shorts",
    "Skirt",
)

# The photographs' labels against ours; where several are named, any of them is right.
PHOTO_LABELS = {
    "T-Shirt": ("T-shirt/top",),
    "Top": ("T-shirt/top",),
    "Undershirt": ("T-shirt/top",),
    "Polo": ("T-shirt/top", "Shirt"),
    "Longsleeve": ("Pullover",),
    "Hoodie": ("Pullover",),
    "Pants": ("Trouser",),
    "Dress": ("Dress",),
    "Outwear": ("Coat",),
    "Blazer": ("Coat",),
    "Shirt": ("Shirt",),
    "Blouse": ("Shirt",),
    "Shoes": ("Sandal", "Sneaker", "Ankle boot"),
    "Hat": ("Hat",),
    "Shorts": ("Shorts",),
    "Skirt": ("Skirt",),
}

_SHOES = Path(__file__).parent / "shoes.csv"

# Photographs of none of the thirteen.
OTHER_LABELS = ("Body", "Other")

# Folds of senders that are never trained on. The first split is that of the shipped bundle; the others show how much
# the figure depends on who is left out.
TEST_FOLDS = ((0, 1, 2, 4, 13), (5, 7), (8, 12))
CALIBRATION_FOLD = 3
FOLDS = 16

# Of a picture that is read here: these are nobody's uploads.
MAX_PIXELS = 100_000_000


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph on disk and the labels that are right for it; it may be none."""

    path: Path
    labels: tuple[str, ...]
    sender: str

    @property
    def fold(self) -> int:
        """The fold of its sender, 0 to 15."""
        return int(hashlib.sha256(self.sender.encode()).hexdigest(), 16) % FOLDS


def read_photos(folder: Path) -> list[Photo]:
    """The photographs of `index.csv` that show one of LABELS, and those that show none of them.

    A sender's pictures share a fold: a sender in the test set is unseen in training.
    """
    with (folder / "index.csv").open(newline="") as file:
        return [
            Photo(folder / row["path"], PHOTO_LABELS.get(row["label"], ()), row["sender_id"])
            for row in csv.DictReader(file)
            if row["label"] in PHOTO_LABELS or row["label"] in OTHER_LABELS
        ]


def told_apart(photos: Iterable[Photo]) -> list[Photo]:
    """The photographs, of which those of shoes have one label each where `shoes.csv` has it, given by eye.

    Pumps, loafers, ballet flats and the like are in none of Fashion-MNIST's three kinds and keep all of them.
    """
    with _SHOES.open(newline="") as file:
        known = {row["path"]: row["label"] for row in csv.DictReader(file)}
    named = ((photo, known.get("/".join(photo.path.parts[-2:]))) for photo in photos)
    return [replace(photo, labels=(label,)) if label else photo for photo, label in named]


def read_fashion(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures (n, 28, 28) and label numbers (n,); `part` is "train" or "t10k".

    Format: https://github.com/zalandoresearch/fashion-mnist
    """
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        pictures = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        numbers = np.frombuffer(file.read(), np.uint8, offset=8)
    return pictures, numbers


def one_of(labels: tuple[str, ...]) -> NDArray[np.float32]:
    """The labels that are right, as 1 in a row of zeros: shape (13,)."""
    return np.array([label in labels for label in LABELS], np.float32)
