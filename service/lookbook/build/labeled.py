"""The true labels of images, from folders or an index.csv. Tests: tests/unit/test_build.py."""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lookbook.model.bundle import BundleError

_PATH_COLUMNS, _LABEL_COLUMNS = ("path", "file", "filename", "file_name", "image"), ("label", "class")


def true_labels(folder: Path, paths: Iterable[str], labels: Sequence[str]) -> dict[str, int]:
    """The number of the label of each image for which it is known.

    It comes from `index.csv` in the folder, else from the name of the image's folder, as in Keras's loaders. Raises
    BundleError.
    """
    numbers: dict[str, int] = {}
    for number, label in enumerate(labels):
        numbers.setdefault(_plain(label), number)
    index = _read_index(folder / "index.csv") if (folder / "index.csv").is_file() else {}
    found = {}
    for path in paths:
        inside = Path(path).relative_to(folder)
        listed = index.get(inside) or index.get(inside.with_suffix(""))
        names = [listed] if listed else [parent.name for parent in inside.parents]
        known = [numbers[name] for name in map(_plain, names) if name in numbers]
        if known:
            found[path] = known[0]
    return found


def _plain(name: str) -> str:
    """`Golden_Retriever` and `golden retriever` are the same label."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _read_index(path: Path) -> dict[Path, str]:
    """Paths relative to the folder, and their labels."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            names = rows.fieldnames or ()
            image, label = (
                next((name for name in names if name.strip().casefold() in wanted), None)
                for wanted in (_PATH_COLUMNS, _LABEL_COLUMNS)
            )
            if image is None or label is None:
                raise BundleError(f"{path}: must have the columns path and label")
            return {Path(row[image]): row[label] for row in rows if row[image] and row[label]}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BundleError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
