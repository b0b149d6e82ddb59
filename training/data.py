"""Fashion-MNIST and clothing photographs, read from folders and split."""

import csv
import gzip
import hashlib
from dataclasses import dataclass
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

TEST_FOLDS = (0, 1, 2, 4, 13)
CALIBRATION_FOLDS = (3,)
FOLDS = 16


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph on disk and the labels that are right for it."""

    path: Path
    labels: tuple[str, ...]
    fold: int


def read_photos(folder: Path) -> list[Photo]:
    """The photographs of `index.csv` that show one of LABELS.

    A sender's pictures share a fold: a sender in the test set is unseen in training.
    """
    with (folder / "index.csv").open(newline="") as file:
        return [
            Photo(folder / row["path"], PHOTO_LABELS[row["label"]], _fold(row["sender_id"]))
            for row in csv.DictReader(file)
            if row["label"] in PHOTO_LABELS
        ]


def _fold(sender: str) -> int:
    return int(hashlib.sha256(sender.encode()).hexdigest(), 16) % FOLDS


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
