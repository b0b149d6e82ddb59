"""What the benchmarks of Spark classify, and the plain loop that they compare it with."""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from lookbook import images
from lookbook.model.bundle import read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.pillow import configure_pillow
from lookbook.model.preprocessing import preprocess
from lookbook.settings import Settings

from benchmarks.cases import Sample

_PER_FOLDER = 1_000

_classifier: Classifier


def make_images(folder: Path, sample: Sample, count: int) -> Path:
    """Many names of one image, in several folders."""
    for number in range(count):
        path = folder / f"{number // _PER_FOLDER}" / f"{number}{sample.image.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(sample.image)
    return folder


class PlainLoop:
    """Processes that classify as `lookbook classify` does, one image after the other."""

    def __init__(self, model: Path, count: int) -> None:
        self._count = count
        self._pool = ProcessPoolExecutor(count, get_context("spawn"), _start, (model,))

    def run(self, folder: Path) -> tuple[float, float]:
        """CPU time and duration in seconds for all images in a folder."""
        paths = sorted(images.in_folder(str(folder)))
        began = time.monotonic()
        times = self._pool.map(_classify, [paths[first :: self._count] for first in range(self._count)])
        return sum(times), time.monotonic() - began

    def close(self) -> None:
        self._pool.shutdown()


def _start(model: Path) -> None:
    global _classifier
    configure_pillow()
    _classifier = Classifier(read_bundle(model))


def _classify(paths: Sequence[str]) -> float:
    spec, max_pixels, began = _classifier.bundle.input, Settings().max_pixels, time.process_time()
    for path in paths:
        _classifier.top(_classifier.classify(preprocess(images.read(path), spec, max_pixels)))
    return time.process_time() - began
