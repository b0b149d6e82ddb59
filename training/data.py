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

# Our labels for the labels of the photographs; if there are several, each of them is right. `lookbook export --images`
# writes our own labels.
PHOTO_LABELS = {
    **{label: (label,) for label in LABELS},
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

_CORRECTIONS = Path(__file__).parent / "corrections.csv"

# Labels of photographs that show none of the thirteen.
OTHER_LABELS = ("Body", "Other")

# Folds of senders for cross-validation, in groups of about 900 photographs: one group after the other is left out of
# training and tested. The calibration fold is in none of them and is never trained on.
GROUPS = ((10, 15), (5, 8, 14), (4, 6, 7, 12), (0, 1, 2, 9, 11, 13))
CALIBRATION_FOLD = 3
FOLDS = 16

# These files are not uploads, so they may be large.
MAX_PIXELS = 100_000_000


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph on disk and its right labels; there may be none."""

    path: Path
    labels: tuple[str, ...]
    sender: str

    @property
    def fold(self) -> int:
        """The fold of the sender, 0 to 15."""
        return int(hashlib.sha256(self.sender.encode()).hexdigest(), 16) % FOLDS


def read_photos(folder: Path) -> list[Photo]:
    """The photographs in `index.csv` that show one of LABELS, and those labeled as none of them.

    All photographs of a sender are in one fold, so that training never sees a sender of the test set.
    """
    with (folder / "index.csv").open(newline="") as file:
        return [
            Photo(folder / row["path"], PHOTO_LABELS.get(row["label"], ()), row["sender_id"])
            for row in csv.DictReader(file)
            if row["label"] in PHOTO_LABELS or row["label"] in OTHER_LABELS
        ]


def corrected(photos: Iterable[Photo]) -> list[Photo]:
    """The photographs, with the labels of `corrections.csv` for those that it lists; a person looked at each of them.

    It has one label for each shoe, except for pumps, loafers, and ballet flats, which are none of Fashion-MNIST's three
    kinds. The others had a wrong label, or two labels are right. In the training data, cross-validation had made them
    doubtful; in the test data, a person looked at all photographs, without knowing any prediction.
    """
    with _CORRECTIONS.open(newline="") as file:
        known = {row["path"]: tuple(row["labels"].split("|")) for row in csv.DictReader(file)}
    return [replace(photo, labels=known.get("/".join(photo.path.parts[-2:]), photo.labels)) for photo in photos]


def read_fashion(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Drawings (n, 28, 28) and label numbers (n,); `part` is "train" or "t10k".

    Format: https://github.com/zalandoresearch/fashion-mnist
    """
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        drawings = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        numbers = np.frombuffer(file.read(), np.uint8, offset=8)
    return drawings, numbers


def one_of(labels: tuple[str, ...]) -> NDArray[np.float32]:
    """1 for each right label, 0 for the others: shape (13,)."""
    return np.array([label in labels for label in LABELS], np.float32)
