"""Judged images as a folder to train on. Tests: tests/unit/test_export.py."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

from lookbook.judgment import settle
from lookbook.store import Store
from lookbook.store.rows import Rows

_SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp"}
# One folder for each label. A label may hold any character, such as the slash of "T-shirt/top".
_SAFE = "!#$&'()+,;=@[]{}^~` "


@dataclass(slots=True)
class Counts:
    """How many judged images were written, and how many could not be."""

    written: int = 0
    unclear: int = 0
    without_image: int = 0


def write_images(folder: Path, batches: Iterable[Rows], store: Store) -> Counts:
    """Write each image whose ground truth is a label to FOLDER/<label>/<id>, and all of them to index.csv.

    Raises OSError, and StoreUnavailable.
    """
    counts = Counts()
    with (folder / "index.csv").open("w", newline="") as file:
        index = csv.writer(file)
        # Training keeps the images of a sender together. Here, each image may come from a different sender.
        index.writerow(("path", "label", "sender_id"))
        for id, label in _judged(batches):
            image = store.input(id)
            suffix = _suffix(image.content) if image else None
            if label is None:
                counts.unclear += 1
            elif image is None or suffix is None:
                counts.without_image += 1
            else:
                path = Path(folder_name(label)) / f"{id}{suffix}"
                (folder / path.parent).mkdir(exist_ok=True)
                (folder / path).write_bytes(image.content)
                index.writerow((path, label, id))
                counts.written += 1
    return counts


def folder_name(label: str) -> str:
    """The label; characters that a folder's name cannot have are written as in a URL."""
    name = quote(label, safe=_SAFE)
    return name if name.strip(".") else name.replace(".", "%2E")


def _suffix(content: bytes) -> str | None:
    """None if this is not an image."""
    return next((name for start, name in _SUFFIXES.items() if content.startswith(start)), None)


def _judged(batches: Iterable[Rows]) -> Iterator[tuple[UUID, str | None]]:
    """Predictions that have a ground truth, and its label; None if it is unclear."""
    for rows in batches:
        for id, judgments in rows.judgments_by_id().items():
            if truth := settle(judgments):
                yield id, truth.label
