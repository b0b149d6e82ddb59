"""Build a bundle from a Keras 3 image classifier. Tests: tests/unit/test_build.py."""

import os

# Before Keras is imported, here and in the modules below: LiteRT's converter reads TensorFlow models only, and
# TensorFlow would log every detail of its start.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from lookbook.build.comparison import compare
from lookbook.build.conversion import convert
from lookbook.build.loading import for_one_image, input_spec, load
from lookbook.build.measuring import measure
from lookbook.build.pixels import pixel_range
from lookbook.build.scores import last_activation, with_scores
from lookbook.build.source import Source
from lookbook.build.writer import MAX_PIXELS, Draft, write_bundle
from lookbook.errors import RequestError
from lookbook.images import read
from lookbook.model.bundle import BundleError, InputSpec, read_bundle
from lookbook.model.decoding import decode
from lookbook.model.inference import Classifier
from lookbook.model.pillow import configure_pillow
from lookbook.model.preprocessing import to_array
from lookbook.model.quiet import quiet

COMPARED, GOLDEN = 64, 5

T = TypeVar("T")


def build(source: Source, target: Path) -> Iterator[str]:
    """Writes the bundle to `target`; yields what was detected, assumed, and measured, one line each.

    Raises BundleError, and then leaves nothing behind.
    """
    configure_pillow()
    model = load(source.model)
    spec = input_spec(model, "0..255", source.resize)
    network = for_one_image(model, spec, len(source.labels))
    paths = _spread(source.images, COMPARED)
    images = [_decoded(path, spec) for path in paths]
    labeled = [(image, source.truth[path]) for image, path in zip(images, paths, strict=True) if path in source.truth]
    measured = measure(model, network, labeled, source.resize) if labeled else {}
    for candidate, result in measured.items():
        yield f"{candidate}: {result}"
    pixels, reason = pixel_range(model, source.pixels, measured)
    spec = input_spec(model, pixels, source.resize)
    yield f"input: {spec.width}x{spec.height} {spec.color}, resize {spec.resize}, pixel range {pixels} ({reason})"
    arrays = [to_array(image, spec) for image in images]
    network, kind = with_scores(network, arrays, last_activation(model))
    yield f"output: {len(source.labels)} labels, {kind}"
    content = convert(network)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        folder = Path(scratch, "bundle")
        golden = _saved(_spread(images, GOLDEN), Path(scratch))
        with quiet():
            write_bundle(
                folder,
                Draft(source.name, source.version, source.license, source.labels, spec, content, golden),
            )
            classifier = Classifier(read_bundle(folder))
        yield compare(classifier, network, arrays)
        os.rename(folder, target)
    yield f"{target}: {len(content) / 1e3:,.0f} KB, digest {classifier.bundle.digest}"


def _decoded(path: str, spec: InputSpec) -> Image.Image:
    try:
        return decode(read(path), spec, MAX_PIXELS)
    except (OSError, RequestError) as error:
        raise BundleError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _saved(images: Sequence[Image.Image], folder: Path) -> list[Path]:
    """The images as PNG files, whose pixels are the same with every decoder."""
    paths = [folder / f"{number}.png" for number in range(1, len(images) + 1)]
    for image, path in zip(images, paths, strict=True):
        image.save(path)
    return paths


def _spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` items, evenly spread."""
    return [items[i] for i in np.linspace(0, len(items) - 1, min(count, len(items))).astype(int)]
