"""Measures what it takes to keep what the model sees: `python -m benchmarks.inputs`."""

import statistics
import time
from pathlib import Path

from lookbook.model.bundle import read_bundle
from lookbook.model.inputs import encode_pixels
from lookbook.model.pillow import configure_pillow
from lookbook.model.preprocessing import preprocess
from lookbook.settings import Settings

from benchmarks import table
from benchmarks.cases import PHOTO, SMALL
from benchmarks.machine import machine

_PHOTOS = Path(__file__).parent.parent / "tests/data/photos"
_CALLS = 20


def _measure(images: list[Path], model: Path) -> tuple[float, float]:
    """Bytes and CPU milliseconds of one image, on average."""
    spec = read_bundle(model).input
    arrays = [preprocess(image.read_bytes(), spec, Settings().max_pixels) for image in images]
    began = time.process_time()
    for _ in range(_CALLS):
        kept = [encode_pixels(array, spec) for array in arrays]
    seconds = time.process_time() - began
    return statistics.mean(map(len, kept)), seconds / _CALLS / len(arrays) * 1000


def main() -> None:
    configure_pillow()
    print(f"{machine()}\n")
    table.head(("images", "model", "bytes", "CPU ms"), texts=2)
    for name, images, model in (
        ("tests/data/photos", sorted(_PHOTOS.glob("*.jpg")), PHOTO.model),
        ("golden images", sorted(SMALL.image.parent.glob("*.png")), SMALL.model),
    ):
        size, ms = _measure(images, model)
        table.row((name, "/".join(model.parts[-2:]), f"{size:,.0f}", f"{ms:.2f}"))


if __name__ == "__main__":
    main()
