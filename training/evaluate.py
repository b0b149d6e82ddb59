"""Measure a bundle through the serving path: `python -m training.evaluate BUNDLE --fashion DIR [--photos DIR]`."""

import argparse
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.bundle import read_bundle
from service.inference import Classifier
from service.preprocessing import preprocess
from training import others
from training.data import LABELS, MAX_PIXELS, Photo, read_fashion, read_photos

BINS = 15
_PATTERNS = {
    "plain": (others.plain,),
    "noise": (others.white_noise, others.noise),
    "textures": (others.clouds, others.cells, others.bricks),
}
_PICTURES, _SIDE = 120, 128


def evaluate(classifier: Classifier, fashion: Path | None, photos: Path | None) -> dict[str, dict[str, Any]]:
    """Accuracy and calibration on each set, and the mean top score on pictures that show none of the labels.

    Of the photographs those are left out whose senders had a part in training or calibration, as the manifest says.
    """
    sets: dict[str, dict[str, Any]] = {}
    if fashion:
        drawings, numbers = read_fashion(fashion, "t10k")
        rights = [(LABELS[number],) for number in numbers]
        sets["fashion_mnist_test"] = _measure(classifier, encoded(drawings), rights)
        sets["fashion_mnist_test_inverted"] = _measure(classifier, encoded(255 - drawings), rights)
    apart = unseen(classifier, photos) if photos else []
    labelled = [photo for photo in apart if photo.labels]
    if labelled:
        pictures = (photo.path.read_bytes() for photo in labelled)
        rights = [photo.labels for photo in labelled]
        sets["photos_of_unseen_senders"] = _measure(classifier, pictures, rights)
    for name, makers in _PATTERNS.items():
        rng = np.random.default_rng(len(name))
        made = encoded(makers[i % len(makers)](_SIDE, rng) for i in range(_PICTURES))
        sets[f"none_of_the_labels_{name}"] = _unsure(classifier, made)
    if len(labelled) < len(apart):
        pictures = (photo.path.read_bytes() for photo in apart if not photo.labels)
        sets["none_of_the_labels_photos"] = _unsure(classifier, pictures)
    return sets


def unseen(classifier: Classifier, photos: Path) -> list[Photo]:
    """The photographs in a folder whose senders had no part in training or calibration."""
    seen = set(classifier.bundle.manifest.get("senders_seen", ()))
    return [photo for photo in read_photos(photos) if photo.sender not in seen]


def encoded(pictures: Iterable[NDArray[np.uint8]]) -> Iterator[bytes]:
    """Each array as a PNG: what a client would send."""
    for pixels in pictures:
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        yield out.getvalue()


def scores_of(classifier: Classifier, pictures: Iterable[bytes]) -> NDArray[np.float64]:
    """Scores (n, labels) of encoded pictures, as they are served."""
    spec = classifier.bundle.input
    return np.stack([classifier.classify(preprocess(data, spec, MAX_PIXELS)) for data in pictures]).astype(np.float64)


def calibration_error(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error of top scores (n,), in 15 bins of equal count."""
    order = np.argsort(scores)
    bins = zip(np.array_split(scores[order], BINS), np.array_split(right[order], BINS), strict=True)
    return float(sum(abs(s.mean() - r.mean()) * len(s) for s, r in bins if len(s)) / len(scores))


def perfect_error(scores: NDArray[np.float64]) -> float:
    """What `calibration_error` is in the mean where top scores (n,) are perfectly calibrated: chance alone."""
    rng = np.random.default_rng(0)
    return float(np.mean([calibration_error(scores, rng.random(len(scores)) < scores) for _ in range(200)]))


def _measure(classifier: Classifier, pictures: Iterable[bytes], rights: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    scores = scores_of(classifier, pictures)
    labels, tops = classifier.bundle.labels, scores.max(axis=1)
    right = np.array([labels[i] in known for i, known in zip(scores.argmax(axis=1), rights, strict=True)])
    error = calibration_error(tops, right)
    return {
        "pictures": len(tops),
        "accuracy": round(float(right.mean()), 4),
        "calibration_error": round(error, 4),
        "calibration_error_above_chance": round(error - perfect_error(tops), 4),
    }


def _unsure(classifier: Classifier, pictures: Iterable[bytes]) -> dict[str, Any]:
    tops = scores_of(classifier, pictures).max(axis=1)
    return {"pictures": len(tops), "mean_top_score": round(float(tops.mean()), 4)}


def table(sets: dict[str, dict[str, Any]]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| set | pictures | accuracy | calibration error (above chance) | mean top score |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, figures in sets.items():
        accuracy = error = top = ""
        if "accuracy" in figures:
            accuracy = f"{figures['accuracy']:.1%}"
            error = f"{figures['calibration_error']:.3f} ({figures['calibration_error_above_chance']:+.3f})"
        else:
            top = f"{figures['mean_top_score']:.2f}"
        lines.append(f"| {name.replace('_', ' ')} | {figures['pictures']} | {accuracy} | {error} | {top} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--fashion", type=Path, help="folder of Fashion-MNIST's four .gz files")
    parser.add_argument("--photos", type=Path, help="folder of photographs with an index.csv")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    sets = evaluate(Classifier(read_bundle(options.bundle)), options.fashion, options.photos)
    print(json.dumps(sets, indent=1) if options.json else table(sets))


if __name__ == "__main__":
    main()
