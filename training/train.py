"""Train the released models: `python -m training.train NAME --fashion FOLDER --photos FOLDER --work FOLDER`."""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from lookbook.model.bundle import InputSpec
from lookbook.model.pillow import configure_pillow
from numpy.typing import NDArray

from training import network, pretrained
from training.batches import Clothes, arrays, fashion_arrays
from training.data import CALIBRATION_FOLD, GROUPS, LABELS, Photo, corrected, one_of, read_fashion, read_photos
from training.teacher import Teacher

WHITE = (255, 255, 255)
MLP_INPUT = InputSpec(28, 28, "grayscale", "stretch", WHITE, (0.0,), (1.0,))
# An epoch ends with a checkpoint; a run has eight or more.
STEPS_PER_EPOCH = 250
# One drawing in twelve sets the temperature and is not trained on: 5,000 of Fashion-MNIST's 60,000.
CALIBRATION_SHARE = 12

Logs = Mapping[str, float] | None


def clothes_input(side: int) -> InputSpec:
    """The input of the network for thirteen labels: in color, `side` pixels high and wide."""
    return InputSpec(side, side, "rgb", "pad", WHITE, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, slots=True)
class Run:
    """How a network is trained: its start, the mean of the networks in `start` or ImageNet's weights, takes `steps`.

    `side` is the input's height and width in pixels, `peak` the highest learning rate, `share` the share of
    photographs in a batch, `teachers` the bundles for photographs and for drawings, `frozen` the number of blocks that
    are not trained.
    """

    steps: int
    side: int
    start: Sequence[Path]
    peak: float
    share: float
    batch: int
    teachers: Sequence[Path] = ()
    frozen: int = 0
    seed: int = 1


def train_clothes(fashion: Path, photos: Sequence[Photo], work: Path, run: Run) -> tuple[keras.Model, float]:
    """The network for thirteen labels, and its temperature; resumes from a checkpoint in `work`.

    The calibration fold of `photos` sets the temperature; the others are trained on. Without photographs, drawings do.
    """
    keras.utils.set_random_seed(run.seed)
    drawings, numbers = read_fashion(fashion, "train")
    spare = len(drawings) // CALIBRATION_SHARE
    spec = clothes_input(run.side)
    model = _untrained(spec, run)
    if run.steps:
        seen = [photo for photo in photos if photo.fold != CALIBRATION_FOLD]
        _fit(model, seen, (drawings[:-spare], numbers[:-spare]), spec, work, run)
    kept = [photo for photo in photos if photo.fold == CALIBRATION_FOLD and photo.labels]
    # As many drawings as photographs, so that both have the same weight in the temperature.
    some = slice(-spare, None, max(1, spare // len(kept)) if kept else 1)
    images, masks = fashion_arrays(drawings[some], spec), np.eye(len(LABELS), dtype=np.float32)[numbers[some]]
    if kept:
        images = np.concatenate([arrays(kept, spec), images])
        masks = np.concatenate([np.stack([one_of(photo.labels) for photo in kept]), masks])
    return model, temperature(model.predict(images, verbose=0), masks)


def _untrained(spec: InputSpec, run: Run) -> keras.Model:
    """The network at its start."""
    model = network.lite(spec, len(LABELS))
    if run.start:
        model.set_weights(network.average([keras.models.load_model(path, compile=False) for path in run.start]))
    else:
        network.load_pretrained(model, pretrained.weights())
    return model


def train_mlp(fashion: Path, *, epochs: int = 12, seed: int = 1) -> tuple[keras.Model, float]:
    """The classic network for Fashion-MNIST's ten labels, and its temperature."""
    keras.utils.set_random_seed(seed)
    drawings, numbers = read_fashion(fashion, "train")
    images, masks = fashion_arrays(drawings, MLP_INPUT), np.eye(10, dtype=np.float32)[numbers]
    kept = len(drawings) // CALIBRATION_SHARE
    model = network.perceptron(MLP_INPUT, 10)
    steps = epochs * -(-(len(images) - kept) // 128)
    model.compile(
        keras.optimizers.AdamW(_schedule(steps, peak=2e-3)),
        network.loss(smoothing=0.0),
        metrics=[network.one_of_accuracy],
    )
    model.fit(images[:-kept], masks[:-kept], batch_size=128, epochs=epochs, verbose=2)
    return model, temperature(model.predict(images[-kept:], verbose=0), masks[-kept:])


def temperature(logits: NDArray[np.float32], masks: NDArray[np.float32]) -> float:
    """The temperature that makes the right labels most likely; both arguments are (n, labels).

    Source: Guo et al., On Calibration of Modern Neural Networks, 2017.
    """

    def cost(value: float) -> float:
        scaled = logits / value
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        scores = np.exp(scaled) / np.exp(scaled).sum(axis=1, keepdims=True)
        return -float(np.log((scores * masks).sum(axis=1) + 1e-12).mean())

    return min((float(value) for value in np.geomspace(0.25, 4, 200)), key=cost)


def _schedule(steps: int, peak: float) -> keras.optimizers.schedules.LearningRateSchedule:
    warm = min(400, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        peak / 20, steps - warm, alpha=0.0, warmup_target=peak, warmup_steps=warm
    )


class _Resume(keras.callbacks.BackupAndRestore):  # type: ignore[misc]  # Keras is not installed where mypy runs
    """Resumes from a checkpoint, and tells the data which epoch comes next."""

    def __init__(self, folder: Path, data: Clothes) -> None:
        super().__init__(str(folder))
        self._data = data

    def on_train_begin(self, logs: Logs = None) -> None:
        super().on_train_begin(logs)
        self._data.resume(getattr(self.model, "_initial_epoch", None) or 0)


class _Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """Prints one line per epoch, with the minutes left."""

    def on_train_begin(self, logs: Logs = None) -> None:  # noqa: ARG002
        self._began, self._done = time.monotonic(), 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._done += 1
        number, epochs = epoch + 1, self.params["epochs"]
        left = (time.monotonic() - self._began) / self._done * (epochs - number) / 60
        figures = ", ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        print(f"epoch {number}/{epochs}: {figures}, {left:.0f} min left", flush=True)


def _fit(
    model: keras.Model,
    photos: Sequence[Photo],
    drawings: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    spec: InputSpec,
    work: Path,
    run: Run,
) -> None:
    network.freeze(model, run.frozen)
    model.compile(
        keras.optimizers.AdamW(_schedule(run.steps, run.peak), weight_decay=0.02, clipnorm=1.0),
        network.loss(smoothing=0.05),
        metrics=[network.one_of_accuracy],
        jit_compile=False,
    )
    steps = min(STEPS_PER_EPOCH, max(1, run.steps // 8))
    teachers = [Teacher(path) for path in run.teachers]
    data = Clothes(
        photos, drawings, spec, share=run.share, steps=steps, batch=run.batch, seed=run.seed, teachers=teachers
    )
    work.mkdir(parents=True, exist_ok=True)
    model.fit(
        data,
        epochs=-(-run.steps // steps),
        verbose=0,
        callbacks=[_Resume(work / "checkpoint", data), _Progress()],
    )


def main() -> None:
    configure_pillow()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("lookbook-clothes", "fashion-mnist-mlp"))
    parser.add_argument("--fashion", type=Path, required=True, help="folder of Fashion-MNIST's four .gz files")
    parser.add_argument("--photos", type=Path, help="folder of photographs with an index.csv")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints and the trained network")
    parser.add_argument("--steps", type=int, default=5500, help="number of training steps (default %(default)s)")
    parser.add_argument("--batch", type=int, default=96, help="images per step (default %(default)s)")
    parser.add_argument("--side", type=int, default=96, help="side of the input in pixels (default %(default)s)")
    parser.add_argument("--start", type=Path, nargs="*", default=[], help="networks whose mean is the start")
    parser.add_argument("--peak", type=float, default=1e-3, help="highest learning rate (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of all random numbers (default %(default)s)")
    parser.add_argument("--share", type=float, default=0.31, help="share of photographs (default %(default)s)")
    parser.add_argument(
        "--teachers",
        type=Path,
        nargs=2,
        metavar=("PHOTOS", "DRAWINGS"),
        default=(),
        help="bundles whose scores are learned beside the labels",
    )
    parser.add_argument("--frozen", type=int, default=0, help="first blocks that are not trained (default %(default)s)")
    parser.add_argument(
        "--without",
        type=int,
        choices=range(len(GROUPS)),
        help="number of the group of senders that is kept for testing (default: none)",
    )
    options = parser.parse_args()
    if options.name == "lookbook-clothes" and options.share and not options.photos:
        parser.error("lookbook-clothes needs --photos, or --share 0")
    try:
        _train(options)
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")


def _train(options: argparse.Namespace) -> None:
    senders: list[str] = []
    if options.name == "fashion-mnist-mlp":
        model, value = train_mlp(options.fashion)
    else:
        apart = () if options.without is None else GROUPS[options.without]
        read = corrected(read_photos(options.photos)) if options.photos else []
        photos = [photo for photo in read if photo.fold not in apart]
        senders = sorted({photo.sender for photo in photos})
        run = Run(
            steps=options.steps,
            side=options.side,
            start=options.start,
            peak=options.peak,
            share=options.share,
            batch=options.batch,
            teachers=options.teachers,
            frozen=options.frozen,
            seed=options.seed,
        )
        model, value = train_clothes(options.fashion, photos, options.work, run)
    options.work.mkdir(parents=True, exist_ok=True)
    model.save(options.work / "network.keras")
    (options.work / "training.json").write_text(json.dumps({"temperature": value, "senders_seen": senders}))


if __name__ == "__main__":
    main()
