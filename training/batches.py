"""Batches of training images, made on the fly; the same seed gives the same batches."""

from collections.abc import Sequence

import keras
import numpy as np
from lookbook.model.bundle import InputSpec
from lookbook.model.decoding import decode
from lookbook.model.preprocessing import to_array
from numpy.typing import NDArray
from PIL import Image

from training import augment
from training.data import LABELS, MAX_PIXELS, Photo, one_of
from training.others import other, pattern
from training.teacher import Teacher

# Photographs are kept in memory at this multiple of the network's input size, so that zooming in finds detail.
DETAIL = 1.5
# The share of each batch that shows none of the labels.
OTHERS = 0.08


class Clothes(keras.utils.PyDataset):  # type: ignore[misc]  # Keras is not installed where mypy runs
    """Photographs, Fashion-MNIST, and images of none of the labels: arrays (n, height, width, 3), masks (n, 13)."""

    def __init__(
        self,
        photos: Sequence[Photo],
        fashion: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        spec: InputSpec,
        *,
        share: float,
        steps: int,
        batch: int,
        seed: int,
        teachers: Sequence[Teacher] = (),
    ) -> None:
        """`share` is the share of photographs in each batch; OTHERS show no label, the rest is Fashion-MNIST.

        Without photographs, which a share of 0 allows, patterns are the background of the drawings. The `teachers`
        are one for photographs and one for drawings, or none.
        """
        super().__init__(workers=2, use_multiprocessing=False, max_queue_size=16)
        labeled = [photo for photo in photos if photo.labels]
        self._photos = [_kept(photo, spec) for photo in labeled]
        self._masks = np.array([one_of(photo.labels) for photo in labeled], np.float32).reshape(-1, len(LABELS))
        self._others = [_kept(photo, spec) for photo in photos if not photo.labels]
        self._drawings, self._numbers = fashion
        self._spec, self._steps, self._batch, self._seed = spec, steps, batch, seed
        self._counts = round(batch * share), round(batch * (1 - share - OTHERS))
        self._epoch, self._teachers = 0, teachers
        self._shares = _shares(self._masks)

    def __len__(self) -> int:
        return self._steps

    def on_epoch_end(self) -> None:
        self._epoch += 1

    def resume(self, epoch: int) -> None:
        """Continue with the images of `epoch`, counted from 0."""
        self._epoch = epoch

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rng = np.random.default_rng([self._seed, self._epoch, index])
        side = self._spec.height
        photos, drawings = self._counts
        chosen = rng.choice(len(self._photos), photos, p=self._shares) if photos else np.empty(0, np.int64)
        drawn = rng.integers(len(self._drawings), size=drawings)
        images = [augment.photo(self._photos[i], side, rng) for i in chosen]
        images += [augment.fashion(self._drawings[i], self._background(side, rng), side, rng) for i in drawn]
        others = self._batch - len(images)
        images += [self._other(side, rng) for _ in range(others)]
        masks = np.concatenate(
            [
                self._masks[chosen],
                np.eye(len(LABELS), dtype=np.float32)[self._numbers[drawn]],
                np.zeros((others, len(LABELS)), np.float32),
            ]
        )
        if self._teachers:
            ends = (images[:photos], images[photos : photos + drawings])
            taught = [teacher.scores(some) for teacher, some in zip(self._teachers, ends, strict=True)]
            taught.append(np.zeros((others, len(LABELS)), np.float32))
            masks = np.concatenate([masks, np.concatenate(taught)], axis=1)
        mean, std = (np.array(values, np.float32) for values in (self._spec.mean, self._spec.std))
        return (np.stack(images).astype(np.float32) / np.float32(255) - mean) / std, masks

    def _background(self, side: int, rng: np.random.Generator) -> Image.Image:
        if self._photos:
            return self._photos[int(rng.integers(len(self._photos)))]
        return Image.fromarray(pattern(side, rng))

    def _other(self, side: int, rng: np.random.Generator) -> augment.Rgb:
        if self._others and rng.random() < 0.4:
            return augment.photo(self._others[int(rng.integers(len(self._others)))], side, rng)
        return other(self._background(side, rng), side, rng)


def arrays(photos: Sequence[Photo], spec: InputSpec) -> NDArray[np.float32]:
    """The photographs as serving preprocesses them: (n, height, width, channels)."""
    return np.concatenate([to_array(decode(p.path.read_bytes(), spec, MAX_PIXELS), spec) for p in photos])


def fashion_arrays(drawings: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """The drawings as serving preprocesses them: (n, height, width, channels)."""
    return np.concatenate([to_array(Image.fromarray(drawing), spec) for drawing in drawings])


def _kept(photo: Photo, spec: InputSpec) -> Image.Image:
    image = decode(photo.path.read_bytes(), spec, MAX_PIXELS).convert("RGB")
    side = int(spec.height * DETAIL)
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    return image


def _shares(masks: NDArray[np.float32]) -> NDArray[np.float64]:
    """The probability of each photograph: rare labels come more often, by the square root of their count."""
    if not len(masks):
        return np.empty(0)
    counts = masks.sum(axis=0)
    weight = np.array([1 / np.sqrt(counts[mask > 0].sum()) for mask in masks])
    return np.asarray(weight / weight.sum())
