"""How a Keras model scales pixels before it looks for features. Tests: tests/unit/test_build.py."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

# Gray values of three images of one color, which are followed through the model.
PROBES = np.array([0, 128, 255], np.float32)
_MANY = 10_000
# Layers and operations that shift or scale all pixels; every other one may only move, copy, or leave out pixels.
_ARITHMETIC = {
    "Add", "Divide", "Multiply", "Negative", "Normalization", "Pipeline", "Rescaling", "Subtract", "TrueDivide",
}  # fmt: skip


class Step(NamedTuple):
    """A place in the model where pixel p has become `factor * p + shift`, for each of n elements.

    `limits` are the bounds to which an operation clips values there; `learned` means that the map is a moving average
    from training.
    """

    operation: str
    factor: NDArray[np.float64]
    shift: NDArray[np.float64]
    limits: tuple[float, float] | None = None
    learned: bool = False


class _Pixels:
    """What the probes have become, (3, ...); a class of its own, so that Keras does not look into it."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def rows(self) -> NDArray[np.float64]:
        """One row of three for each element, or for some thousand random ones."""
        rows = keras.ops.convert_to_numpy(self.values).reshape(len(PROBES), -1).T
        if len(rows) > _MANY:
            rows = rows[np.random.default_rng(0).integers(0, len(rows), _MANY)]
        return np.asarray(rows, np.float64)


_UNKNOWN = object()


def trace(model: keras.Model) -> list[Step]:
    """What the model does to pixels, in the order of its graph, up to the first operations that are not followed."""
    shape = (len(PROBES), *model.inputs[0].shape[1:])
    images = np.broadcast_to(PROBES.reshape(-1, *[1] * (len(shape) - 1)), shape)
    steps: list[Step] = []
    _follow(model, [_Pixels(keras.ops.convert_to_tensor(images, model.inputs[0].dtype))], steps)
    return steps


def _follow(model: keras.Model, inputs: list[Any], steps: list[Step]) -> Any:
    def visit(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        if isinstance(operation, keras.Model):
            return _follow(operation, keras.tree.flatten(args), steps)
        found = _result(operation, args, kwargs, steps)
        return [_UNKNOWN] * len(keras.tree.flatten(operation.output)) if found is None else found

    graph = keras.Function(model.inputs, model.outputs)
    return graph._run_through_graph(inputs, operation_fn=lambda operation: operation, call_fn=visit)


def _result(operation: keras.Operation, args: Any, kwargs: Any, steps: list[Step]) -> Any:
    """The outputs of an operation if it is followed, else None; adds to `steps` what they reveal."""
    leaves = keras.tree.flatten((args, kwargs))
    pixels = [leaf for leaf in leaves if isinstance(leaf, _Pixels)]
    if not pixels or any(leaf is _UNKNOWN for leaf in leaves):
        return None
    name = type(operation).__name__
    limits = _limits(operation)
    if limits:
        # The probes pass unchanged: whether they lie between the limits is the question.
        steps.append(Step(name, *_affine(pixels[0].rows()), limits=limits))
        return pixels[0]
    if isinstance(operation, layers.BatchNormalization):
        steps.extend(_normalized(operation, pixels[0]))
        return None
    if getattr(operation, "weights", None) and not isinstance(operation, layers.Normalization):
        return None
    outputs = _call(operation, args, kwargs)
    if outputs is None:
        return None
    found = [_Pixels(output) for output in outputs]
    if name in _ARITHMETIC and len(pixels) == 1:
        after = found[0].rows()
        if not _is_affine(after):
            return None
        steps.append(Step(name, *_affine(after)))
        return found
    before = np.concatenate([each.rows() for each in pixels])
    return found if all(_is_rearranged(output.rows(), before) for output in found) else None


def _call(operation: keras.Operation, args: Any, kwargs: Any) -> list[Any] | None:
    """The outputs as they are during inference, or None if they cannot be computed."""
    args, kwargs = keras.tree.map_structure(
        lambda leaf: leaf.values if isinstance(leaf, _Pixels) else leaf, (args, dict(kwargs))
    )
    if getattr(operation, "_call_has_training_arg", False):
        kwargs["training"] = False
    try:
        outputs: list[Any] = keras.tree.flatten(operation(*args, **kwargs))
        return outputs if all(output.shape[0] == len(PROBES) for output in outputs) else None
    except Exception:  # noqa: BLE001  # whatever the error, an operation that fails on the probes is not followed
        return None


def _is_rearranged(after: NDArray[np.float64], before: NDArray[np.float64]) -> bool:
    """Whether every element is one from before or always the same, as in the border that padding adds."""
    if not np.isfinite(after).all():
        return False
    changing = np.unique(after[np.ptp(after, axis=1) > 1e-6].round(4), axis=0)
    known = np.unique(before.round(4), axis=0)
    # Resizing and grayscale compute with weights, which add up to nearly one.
    close = 2e-3 * np.ptp(known, axis=1).max(initial=0)
    return all((np.abs(known - row).max(axis=1) <= close).any() for row in changing[:1000])


def _is_affine(rows: NDArray[np.float64]) -> bool:
    if not np.isfinite(rows).all():
        return False
    factor, shift = _affine(rows)
    return bool(np.allclose(factor * PROBES[1] + shift, rows[:, 1], rtol=1e-3, atol=1e-3 * np.abs(rows).max()))


def _affine(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (rows[:, 2] - rows[:, 0]) / (PROBES[2] - PROBES[0]), rows[:, 0]


def _limits(operation: keras.Operation) -> tuple[float, float] | None:
    """The bounds to which the operation clips values; None if it does not clip."""
    if type(operation).__name__ == "Clip":
        low, high = (np.asarray(limit) for limit in (operation.x_min, operation.x_max))
        return (float(low), float(high)) if low.size == high.size == 1 and low.dtype != object else None
    return (0, 255) if type(operation).__name__ == "Cast" and "int8" in str(operation.dtype) else None


def _normalized(layer: layers.BatchNormalization, pixels: _Pixels) -> Iterator[Step]:
    """The layer without its learned scale and offset: it uses the means and variances of its training images."""
    shape = [1] * len(pixels.values.shape)
    shape[layer.axis] = -1
    mean, variance = (
        keras.ops.reshape(value, shape) for value in (layer.moving_mean, layer.moving_variance + layer.epsilon)
    )
    values = (keras.ops.cast(pixels.values, "float32") - mean) / keras.ops.sqrt(variance)
    yield Step("BatchNormalization", *_affine(_Pixels(values).rows()), learned=True)
