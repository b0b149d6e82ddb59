"""The pixel range that a Keras model expects. Tests: tests/unit/test_build.py."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from lookbook.build.measuring import Measured, likely
from lookbook.build.source import ENDS, RANGES
from lookbook.build.tracing import Step, trace
from lookbook.model.bundle import BundleError
from lookbook.model.quiet import quiet


def pixel_range(model: keras.Model, given: str | None, measured: Mapping[str, Measured]) -> tuple[str, str]:
    """One of the RANGES, and the reason for it; `given` is what the user says, if anything.

    Raises BundleError if the range is not certain, or `given` is wrong.
    """
    if "int" in model.inputs[0].dtype:
        if given not in (None, "0..255"):
            raise BundleError(f"the model's input is integers, which cannot represent {given}: use --input 0..255")
        return "0..255", "the input is integers"
    with quiet():
        traced, operation = traced_range(trace(model))
    possible = likely(measured)
    if given:
        if possible and given not in possible:
            best = possible[0]
            raise BundleError(
                f"--input {given} is wrong: {measured[given]}, but {measured[best]} with {best}: "
                f"use --input {best}, or check the labels of the images"
            )
        differs = f", although {operation} looks like {traced}" if traced not in (None, given) else ""
        return given, f"given by --input{differs}"
    if len(possible) == 1:
        return possible[0], f"measured: {measured[possible[0]]}"
    if traced and (not possible or traced in possible):
        return traced, f"because of {operation}"
    tried = "" if measured else ", or use --images with a folder of images for each label to measure it"
    raise BundleError(
        f"cannot tell which pixel range the model expects: use {' or '.join(f'--input {each}' for each in RANGES)}, "
        f"as in training{tried}"
    )


def traced_range(steps: Sequence[Step]) -> tuple[str | None, str]:
    """The range that the steps agree on, and the name of the first operation that suggests it."""
    told = [(pixels, step.operation) for step in steps if (pixels := _range_of(step))]
    return told[0] if len({pixels for pixels, _ in told}) == 1 else (None, "")


def _range_of(step: Step) -> str | None:
    """The range that is suggested by nearly all of the elements that suggest one."""
    # An element that is always the same, such as padding, suggests none.
    changing = np.abs(step.factor) > 1e-6
    maps, counts = np.unique(
        np.stack([step.factor[changing], step.shift[changing]], axis=1).round(9), axis=0, return_counts=True
    )
    votes: Counter[str | None] = Counter()
    for (factor, shift), count in zip(maps.tolist(), counts.tolist(), strict=True):
        votes[_of_limits(factor, shift, step.limits) if step.limits else of_map(factor, shift)] += count
    del votes[None]
    if not votes:
        return None
    pixels, count = votes.most_common(1)[0]
    if step.learned and pixels != "0..255":
        return None  # the layer starts at mean 0 and variance 1, so these may differ from its training data
    return pixels if count >= 0.9 * votes.total() else None


def _of_limits(factor: float, shift: float, limits: tuple[float, float]) -> str | None:
    """The range whose ends become exactly the limits."""
    for pixels, ends in ENDS.items():
        if np.allclose(sorted(factor * end + shift for end in ends), limits, rtol=0.005, atol=0.005):
            return pixels
    return None


def of_map(factor: float, shift: float) -> str | None:
    """The only range that a model would scale by `factor * pixel + shift`, or None.

    The map is seen as (pixel - zero) / spread, where zero is often the mean of images and spread their deviation.
    """
    zero, spread = -shift / factor, 1 / abs(factor)
    if 32 <= spread <= 1020 and all(abs(end - zero) <= 8 * spread for end in ENDS["0..255"]):
        return "0..255"  # other ranges would shrink to almost one value
    if 2 < zero <= 256 and 0.9 <= spread <= 1020:
        return "0..255"  # such a mean, as of `preprocess_input` of ResNet50, is outside of other ranges
    if shift == 0 or abs(zero) <= 0.02:
        return "0..1" if math.isclose(spread, 1 / 255, rel_tol=0.01) and abs(zero) < 1e-6 else None
    if 0 < zero < 1:
        return "0..1" if math.isclose(spread, 1, rel_tol=0.01) or _is_deviation(spread, zero) else None
    if math.isclose(zero, 1, rel_tol=0.01):
        return "0..1" if factor < 0 else None  # inverted
    if math.isclose(zero, -1, rel_tol=0.01):
        return "-1..1" if spread <= 2.1 else None
    return "-1..1" if -1 < zero < 0 and _is_deviation(spread / 2, (zero + 1) / 2) else None


def _is_deviation(spread: float, mean: float) -> bool:
    """Whether values from 0 to 1 with this mean may deviate so much; also (pixel - 0.5) / 0.5 and a factor of 255."""
    if math.isclose(mean, 0.5, rel_tol=0.05):
        return spread <= 1.05
    # Images of two colors only deviate by the square root; real ones by less.
    return spread <= min(0.37, math.sqrt(mean * (1 - mean)))
