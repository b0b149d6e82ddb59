"""Measure a bundle with the serving code: `python -m training.evaluate BUNDLE --fashion FOLDER [--photos FOLDER]`."""

import argparse
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from lookbook.model.bundle import read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.pillow import configure_pillow
from lookbook.model.preprocessing import preprocess
from numpy.typing import NDArray
from PIL import Image

from training import others
from training.data import LABELS, MAX_PIXELS, Photo, corrected, read_fashion, read_photos

BINS = 15
_PATTERNS = {
    "plain": (others.plain,),
    "noise": (others.white_noise, others.noise),
    "textures": (others.clouds, others.cells, others.bricks),
}
_IMAGES, _SIDE = 120, 128

# The sets that are shown by label, and their titles.
TITLES = {"fashion_mnist_test": "Fashion-MNIST test", "photos_of_unseen_senders": "photographs of unseen senders"}
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Predictions:
    """Scores (n, labels) for a set of images, and the right labels of each image: none, one, or several.

    `paths` are the files of the images, if there are files, and `senders` who sent them.
    """

    labels: Sequence[str]
    scores: NDArray[np.float64]
    rights: Sequence[tuple[str, ...]]
    paths: Sequence[Path] = ()
    senders: Sequence[str] = ()

    @property
    def best(self) -> list[str]:
        """The label with the highest score, for each image."""
        return [self.labels[i] for i in self.scores.argmax(axis=1)]

    @property
    def tops(self) -> NDArray[np.float64]:
        """The highest score, for each image: shape (n,)."""
        return np.asarray(self.scores.max(axis=1))

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the best label is right, for each image: shape (n,)."""
        return np.array([best in rights for best, rights in zip(self.best, self.rights, strict=True)])

    def by_label(self) -> dict[str, tuple[float, int]]:
        """The accuracy for each label that is right for any image, and the number of these images."""
        groups = ((label, self.right[[label in rights for rights in self.rights]]) for label in self.labels)
        return {label: (float(hits.mean()), len(hits)) for label, hits in groups if len(hits)}

    def interval(self) -> tuple[float, float]:
        """The 95% interval of the accuracy, by bootstrap over senders if there are any, else over images."""
        groups = np.unique(self.senders, return_inverse=True)[1] if self.senders else np.arange(len(self.rights))
        hits, counts = np.bincount(groups, self.right), np.bincount(groups)
        rng = np.random.default_rng(0)
        drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), _RESAMPLES)
        low, high = np.quantile(drawn @ hits / (drawn @ counts), (0.025, 0.975))
        return float(low), float(high)

    def figures(self) -> dict[str, Any]:
        """Accuracy and calibration, or the mean top score if the images show none of the labels.

        The keys, of which `pictures` is the number of images, are those of published manifests.
        """
        if not any(self.rights):
            return {"pictures": len(self.scores), "mean_top_score": round(float(self.tops.mean()), 4)}
        error = calibration_error(self.tops, self.right)
        return {
            "pictures": len(self.scores),
            "accuracy": round(float(self.right.mean()), 4),
            "accuracy_interval": [round(end, 4) for end in self.interval()],
            "calibration_error": round(error, 4),
            "calibration_error_above_chance": round(error - perfect_error(self.tops), 4),
        }


def evaluate(classifier: Classifier, fashion: Path | None, photos: Path | None) -> dict[str, Predictions]:
    """Predictions for each set of images, through the code that serves.

    Leaves out photographs by senders in the training or calibration data, which the manifest lists.
    """
    labels = classifier.bundle.labels
    sets: dict[str, Predictions] = {}
    if fashion:
        drawings, numbers = read_fashion(fashion, "t10k")
        rights = [(LABELS[number],) for number in numbers]
        for name, images in (("fashion_mnist_test", drawings), ("fashion_mnist_test_inverted", 255 - drawings)):
            sets[name] = Predictions(labels, _scores(classifier, _encoded(images)), rights)
    seen = set(classifier.bundle.manifest.get("senders_seen", ()))
    apart = [photo for photo in read_photos(photos) if photo.sender not in seen] if photos else []
    labeled, unlabeled = ([p for p in apart if bool(p.labels) is known] for known in (True, False))
    if labeled:
        sets["photos_of_unseen_senders"] = found = _of_photos(classifier, labeled)
        sets["the_same_with_corrected_labels"] = replace(found, rights=[photo.labels for photo in corrected(labeled)])
    for name, makers in _PATTERNS.items():
        rng = np.random.default_rng(len(name))
        made = _encoded(makers[i % len(makers)](_SIDE, rng) for i in range(_IMAGES))
        sets[f"none_of_the_labels_{name}"] = Predictions(labels, _scores(classifier, made), [()] * _IMAGES)
    if unlabeled:
        sets["none_of_the_labels_photos"] = _of_photos(classifier, unlabeled)
    return sets


def figures(sets: Mapping[str, Predictions]) -> dict[str, dict[str, Any]]:
    """The figures of each set, as they are stored in a manifest."""
    return {name: predictions.figures() for name, predictions in sets.items()}


def calibration_error(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error of top scores (n,), in 15 bins of equal count."""
    order = np.argsort(scores)
    bins = zip(np.array_split(scores[order], BINS), np.array_split(right[order], BINS), strict=True)
    return float(sum(abs(s.mean() - r.mean()) * len(s) for s, r in bins if len(s)) / len(scores))


def perfect_error(scores: NDArray[np.float64]) -> float:
    """The mean `calibration_error` of perfectly calibrated top scores (n,), which is due to chance."""
    rng = np.random.default_rng(0)
    return float(np.mean([calibration_error(scores, rng.random(len(scores)) < scores) for _ in range(200)]))


def _of_photos(classifier: Classifier, photos: Sequence[Photo]) -> Predictions:
    return Predictions(
        classifier.bundle.labels,
        _scores(classifier, (photo.path.read_bytes() for photo in photos)),
        [photo.labels for photo in photos],
        [photo.path for photo in photos],
        [photo.sender for photo in photos],
    )


def _scores(classifier: Classifier, images: Iterable[bytes]) -> NDArray[np.float64]:
    """Scores (n, labels) of encoded images, as serving computes them."""
    spec = classifier.bundle.input
    return np.stack([classifier.classify(preprocess(data, spec, MAX_PIXELS)) for data in images]).astype(np.float64)


def _encoded(images: Iterable[NDArray[np.uint8]]) -> Iterator[bytes]:
    """Each array as PNG, as a client would send it."""
    for pixels in images:
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        yield out.getvalue()


def table(sets: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| set | images | accuracy (95% interval) | calibration error (above chance) | mean top score |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, figures in sets.items():
        accuracy = error = top = ""
        if "accuracy" in figures:
            low, high = figures["accuracy_interval"]
            accuracy = f"{figures['accuracy']:.1%} ({low:.1%} to {high:.1%})"
            error = f"{figures['calibration_error']:.3f} ({figures['calibration_error_above_chance']:+.3f})"
        else:
            top = f"{figures['mean_top_score']:.2f}"
        title = name.replace("of_the_labels_", "of_the_labels:_").replace("_", " ")
        lines.append(f"| {title} | {figures['pictures']} | {accuracy} | {error} | {top} |")
    return "\n".join(lines)


def by_label(sets: Mapping[str, Predictions]) -> str:
    """The accuracy for each label in the sets of TITLES, as a Markdown table."""
    shown = {title: sets[name] for name, title in TITLES.items() if name in sets}
    if not shown:
        return ""
    lines = [f"| label | {' | '.join(shown)} |", "|---|" + "--:|" * len(shown)]
    found = [predictions.by_label() for predictions in shown.values()]
    for label in next(iter(shown.values())).labels:
        cells = ("{:.1%} of {:,}".format(*each[label]) if label in each else "" for each in found)
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    configure_pillow()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--fashion", type=Path, help="folder of Fashion-MNIST's four .gz files")
    parser.add_argument("--photos", type=Path, help="folder of photographs with an index.csv")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    sets = evaluate(Classifier(read_bundle(options.bundle)), options.fashion, options.photos)
    print(json.dumps(figures(sets), indent=1) if options.json else f"{table(figures(sets))}\n\n{by_label(sets)}")


if __name__ == "__main__":
    main()
