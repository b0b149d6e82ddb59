"""A bundle whose scores a network learns, beside the labels."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from lookbook.model.bundle import read_bundle
from lookbook.model.inference import Classifier
from numpy.typing import NDArray
from PIL import Image


class Teacher:
    """A bundle with uint8 input, which may be larger or smaller than the images. Safe to use from several threads.

    Source: Hinton et al., Distilling the Knowledge in a Neural Network, 2015.
    """

    def __init__(self, folder: Path) -> None:
        self._classifier = Classifier(read_bundle(folder), interpreters=2)

    def scores(self, images: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """The mean of the scores for each image (side, side, 3) and for its mirror image: (n, labels)."""
        spec = self._classifier.bundle.input
        scores = []
        for image in images:
            sized = np.asarray(Image.fromarray(image).resize((spec.width, spec.height), Image.Resampling.BILINEAR))
            both = [
                self._classifier.classify(np.ascontiguousarray(each)[np.newaxis]) for each in (sized, sized[:, ::-1])
            ]
            scores.append(np.mean(both, axis=0))
        return np.array(scores, np.float32).reshape(-1, len(self._classifier.bundle.labels))
