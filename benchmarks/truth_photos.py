"""Measures whether reported intervals cover the accuracy on photographs: `make acceptance-photos PHOTOS=FOLDER`.

Each photograph by a contributor never seen in training is classified once. For each seed, the predictions get new IDs,
spread over 60 buckets; a script judges them in the order that the service asks for.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
from lookbook.judgment import GroundTruth
from lookbook.model.bundle import read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.pillow import configure_pillow
from lookbook.model.preprocessing import preprocess
from lookbook.prediction import day, permanent_random
from lookbook.truth.evaluation import evaluate
from lookbook.truth.frame import Frame, build_frame
from lookbook.truth.reviews import Reviews
from lookbook.truth.sampling import Sampler, is_sampled

from benchmarks import table
from benchmarks.machine import machine
from benchmarks.truth_cases import Tally
from benchmarks.truth_traffic import Row, make_ids
from training.data import MAX_PIXELS, read_photos

SEEDS = 200
BUCKETS = 60
COUNTS = (20, 50, 100, 200)
LEAST_COVERAGE = 0.93

_BUNDLE = Path(__file__).parents[1] / "models/lookbook-clothes"
_JUDGED_AT = datetime(2026, 2, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Photo:
    """What the model says about a photograph, and what a person says it shows."""

    label: str
    score: float
    shown: str


def classify(bundle: Path, folder: Path) -> list[Photo]:
    """The photographs of senders that training has not seen, classified as serving does."""
    configure_pillow()
    classifier = Classifier(read_bundle(bundle))
    spec, seen = classifier.bundle.input, set(classifier.bundle.manifest["senders_seen"])
    photos = []
    for photo in read_photos(folder):
        if photo.labels and photo.sender not in seen:
            scores = classifier.classify(preprocess(photo.path.read_bytes(), spec, MAX_PIXELS))
            label, score = classifier.top(scores)[0]
            # Some photographs have several right labels, of which a person names one.
            photos.append(Photo(label, score, label if label in photo.labels else photo.labels[0]))
    return photos


def frames_of(photos: Sequence[Photo], seed: int) -> tuple[list[Frame], dict[UUID, GroundTruth]]:
    """Frames of the photographs, posted in random order with IDs of this seed, and their truths."""
    rng, sampler = np.random.default_rng(seed), Sampler()
    rows, truths = list[Row](), {}
    ids = make_ids(rng, np.sort(rng.integers(BUCKETS, size=len(photos))))
    for id, number in zip(ids, rng.permutation(len(photos)).tolist(), strict=True):
        photo, rate = photos[number], sampler.rate(id)
        truths[id] = GroundTruth(photo.shown, 1, _JUDGED_AT)
        if is_sampled(id, rate):
            rows.append(Row(id, permanent_random(id), photo.label, photo.score, rate, number, number))
    days = sorted({day(row.id) for row in rows})
    return [build_frame(one, [row for row in rows if day(row.id) == one]) for one in days], truths


def judge(photos: Sequence[Photo], seed: int, into: dict[int, Tally]) -> None:
    """Add an estimate after each number of judgments."""
    frames, truths = frames_of(photos, seed)
    true, judged = float(np.mean([photo.label == photo.shown for photo in photos])), dict[UUID, GroundTruth]()
    for count, tally in into.items():
        served = Reviews(frames, judged).by_priority(count - len(judged))
        judged |= {id: truths[id] for id in served}
        share = evaluate(frames, judged).accuracy
        assert share is not None
        tally.add(true, share.estimate, share.interval, share.n)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder with index.csv and the photographs")
    parser.add_argument("--bundle", type=Path, default=max(_BUNDLE.iterdir()), help="the shipped one by default")
    options = parser.parse_args()
    photos = classify(options.bundle, options.photos)
    right = np.mean([photo.label == photo.shown for photo in photos])
    print(f"{machine()}\n\n{len(photos)} photographs, accuracy {right:.3f}; {SEEDS} seeds of their IDs.\n")
    tallies = {count: Tally() for count in COUNTS}
    for seed in range(SEEDS):
        judge(photos, seed, tallies)
    table.head(("judged", "bias", "RMSE", "coverage", "width"), texts=0)
    for count, tally in tallies.items():
        table.row([str(count), *tally.cells()[:-1]])
    return 0 if all(tally.coverage >= LEAST_COVERAGE for tally in tallies.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
