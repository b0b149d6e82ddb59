"""Measure a bundle through the serving path: `python -m training.evaluate BUNDLE --fashion DIR [--photos DIR]`."""

import argparse
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.bundle import read_bundle
from service.inference import Classifier
from service.preprocessing import preprocess
from training.data import LABELS, TEST_FOLDS, read_fashion, read_photos

MAX_PIXELS = 100_000_000
BINS = 15


def evaluate(classifier: Classifier, fashion: Path, photos: Path | None) -> dict[str, Any]:
    """Accuracy and calibration error on each set, from encoded pictures to scores."""
    drawings, numbers = read_fashion(fashion, "t10k")
    rights = [(LABELS[number],) for number in numbers]
    sets = {
        "fashion_mnist_test": _measure(classifier, (_png(drawing) for drawing in drawings), rights),
        "fashion_mnist_test_inverted": _measure(classifier, (_png(255 - drawing) for drawing in drawings), rights),
    }
    if photos:
        unseen = [photo for photo in read_photos(photos) if photo.fold in TEST_FOLDS]
        sets["photos_of_unseen_senders"] = _measure(
            classifier, (photo.path.read_bytes() for photo in unseen), [photo.labels for photo in unseen]
        )
    return sets


def calibration_error(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error of top scores (n,), in 15 bins of equal count."""
    order = np.argsort(scores)
    bins = zip(np.array_split(scores[order], BINS), np.array_split(right[order], BINS), strict=True)
    return float(sum(abs(s.mean() - r.mean()) * len(s) for s, r in bins if len(s)) / len(scores))


def _measure(classifier: Classifier, pictures: Iterable[bytes], rights: list[tuple[str, ...]]) -> dict[str, Any]:
    tops = [
        classifier.top(classifier.classify(preprocess(data, classifier.bundle.input, MAX_PIXELS)))[0]
        for data in pictures
    ]
    right = np.array([label in labels for (label, _), labels in zip(tops, rights, strict=True)])
    scores = np.array([score for _, score in tops])
    return {
        "pictures": len(tops),
        "accuracy": round(float(right.mean()), 4),
        "calibration_error": round(calibration_error(scores, right), 4),
    }


def _png(drawing: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(drawing).save(out, "PNG")
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--fashion", type=Path, required=True, help="folder of Fashion-MNIST's four .gz files")
    parser.add_argument("--photos", type=Path, help="folder of photographs with an index.csv")
    options = parser.parse_args()
    print(json.dumps(evaluate(Classifier(read_bundle(options.bundle)), options.fashion, options.photos), indent=1))


if __name__ == "__main__":
    main()
