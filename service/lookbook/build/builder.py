"""Make a bundle of anybody's Keras 3 classifier, or say in one line why not."""

import os

# LiteRT's converter reads no other backend's models.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray
from PIL import Image

# tf.lite does not export it.
from tensorflow.lite.python.convert_phase import ConverterError

from lookbook.build.pixels import RANGES
from lookbook.build.writer import MAX_PIXELS, convert, write_bundle
from lookbook.errors import RequestError
from lookbook.images import read
from lookbook.model.bundle import BundleError, InputSpec, read_bundle
from lookbook.model.decoding import decode
from lookbook.model.inference import TOLERANCE, Classifier
from lookbook.model.pillow import configure_pillow
from lookbook.model.preprocessing import to_array
from lookbook.model.quiet import quiet

WHITE = (255, 255, 255)
COMPARED, GOLDEN = 64, 5

# A layer that multiplies by no more than this expects pixels of 0 to 255.
_SMALL = 1 / 64

# What Keras, zipfile and h5py raise for a file that is broken or asks for what must not be.
_BROKEN = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OSError,
    EOFError,
    ImportError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A .keras file and what its owner says of it; `pixels` None: to be found out."""

    path: Path
    labels: Sequence[str]
    pixels: str | None
    resize: str


def build(
    source: Source, name: str, version: str, licence: str, pictures: Sequence[str], target: Path
) -> Iterator[str]:
    """Writes the bundle into `target`; yields what was found, assumed and measured, a line each.

    Raises BundleError, and then nothing is left of it.
    """
    configure_pillow()
    model = _load(source.path)
    pixels, why = _pixels(model, source.pixels)
    spec = _input(model, pixels, source.resize)
    yield f"input: {spec.width}x{spec.height} {spec.color}, black to white is {pixels} ({why}); resize: {spec.resize}"
    network = _network(model, spec, len(source.labels))
    images = [_decoded(path, spec) for path in _some(pictures, COMPARED)]
    arrays = [to_array(image, spec) for image in images]
    network, kind = _with_scores(network, arrays, linear=_ends_linearly(model))
    yield f"output: {len(source.labels)} labels, {kind}"
    content = _converted(network)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        golden = []
        for number, image in enumerate(_some(images, GOLDEN), 1):
            # As PNG: its pixels are the same whichever decoder reads them.
            golden.append(Path(scratch, f"{number}.png"))
            image.save(golden[-1])
        draft = Path(scratch, "bundle")
        with quiet():
            write_bundle(
                draft,
                content,
                name=name,
                version=version,
                labels=source.labels,
                spec=spec,
                golden=golden,
                licence=licence,
                metrics={},
            )
            classifier = Classifier(read_bundle(draft))
        yield _compared(classifier, network, arrays)
        os.rename(draft, target)
    yield f"{target}: {len(content) / 1e3:,.0f} KB, digest {classifier.bundle.digest}"


def _load(path: Path) -> keras.Model:
    if not path.is_file():
        raise BundleError(f"{path}: no such file")
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise BundleError(f"{path}: not a .keras file, which model.save('my_model.keras') of Keras 3 writes")
    try:
        with quiet():
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except _BROKEN as error:
        raise BundleError(f"{path}: {_why_not_loaded(str(error))}") from error
    if not isinstance(model, keras.Model) or not model.built:
        raise BundleError(f"{path}: no built model: begin it with keras.Input((height, width, channels))")
    for layer in model._flatten_layers():
        if layer.compute_dtype in ("float16", "bfloat16"):
            # Trained in half precision, it computes in full: LiteRT's built-in operators know no other.
            layer.dtype_policy = "float32"
    return model


def _why_not_loaded(said: str) -> str:
    if "`Lambda` layer" in said:
        return "it has a Lambda layer, whose Python code is never run here: use Keras's layers or keras.ops instead"
    missing = re.search(r"Could not locate (?:class|function) '([^']+)'", said)
    if missing:
        return f"it needs {missing[1]}, which is not part of Keras: nobody's code is run here"
    return "it can't be read: " + " ".join(said.split())[:300]


def _pixels(model: keras.Model, given: str | None) -> tuple[str, str]:
    """What the model takes for black to white, and why."""
    if "int" in model.inputs[0].dtype:
        if given not in (None, "0..255"):
            raise BundleError(f"its input takes whole numbers, of which {given} has none between: say --input 0..255")
        return "0..255", "its input takes whole numbers"
    if given:
        return given, "as you say"
    first = _first_operation(model)
    kind = type(first).__name__
    if isinstance(first, layers.Rescaling):
        pixels = "0..255" if np.max(np.abs(first.scale)) <= _SMALL else "0..1"
    elif isinstance(first, layers.Normalization):
        pixels = "0..255" if np.max(np.abs(first.mean)) > 2 else "0..1"
    elif kind in ("TrueDivide", "Divide"):
        pixels = "0..255"
    else:
        return "0..1", "assumed, for it begins with no layer that scales; else say --input"
    return pixels, f"it begins with {kind}"


def _first_operation(model: keras.Model) -> keras.Operation | None:
    """The first that does something to a picture when the model is used."""
    for operation in getattr(model, "operations", model.layers):
        if isinstance(operation, keras.Model):
            return _first_operation(operation)
        name = type(operation).__name__
        if not (isinstance(operation, layers.InputLayer) or name.startswith("Random")):
            return operation
    return None


def _input(model: keras.Model, pixels: str, resize: str) -> InputSpec:
    for side, tensors in (("input", model.inputs), ("output", model.outputs)):
        if len(tensors) != 1:
            raise BundleError(f"the model has {len(tensors)} {side}s where one is needed")
    shape = tuple(model.inputs[0].shape[1:])
    height: Any
    width: Any
    channels: Any
    height, width, channels = shape if len(shape) == 3 else (*shape, 1) if len(shape) == 2 else (None, None, None)
    if channels not in (1, 3) or not all(side and side <= 4096 for side in (height, width)):
        raise BundleError(f"the model's input {shape} is no picture of a fixed (height, width, 1 or 3)")
    mean, std = RANGES[pixels]
    color = "rgb" if channels == 3 else "grayscale"
    return InputSpec(height, width, color, resize, WHITE, (mean,) * channels, (std,) * channels)


def _network(model: keras.Model, spec: InputSpec, labels: int) -> keras.Model:
    """The model for one picture (1, height, width, channels), in float32: (1, labels)."""
    inputs = keras.Input(batch_shape=(1, spec.height, spec.width, spec.channels))
    x = inputs if len(model.inputs[0].shape) == 4 else layers.Reshape((spec.height, spec.width))(inputs)
    with quiet():
        # One tensor, whatever structure the model has it in.
        (outputs,) = keras.tree.flatten(model(x, training=False))
    if len(outputs.shape) != 2:
        raise BundleError(f"the model's output {tuple(model.outputs[0].shape[1:])} is not one score a label")
    if outputs.shape[1] != labels:
        raise BundleError(f"the model gives {outputs.shape[1]} scores, but there are {labels} labels")
    return keras.Model(inputs, layers.Activation("linear", dtype="float32")(outputs))


def _ends_linearly(model: keras.Model) -> bool:
    """Whether its last layer says that it has no activation."""
    last = model.layers[-1]
    if isinstance(last, keras.Model):
        return _ends_linearly(last)
    return getattr(last, "activation", None) is keras.activations.linear


def _with_scores(
    network: keras.Model, arrays: Sequence[NDArray[np.float32]], *, linear: bool
) -> tuple[keras.Model, str]:
    """The network with scores for outputs, and what they were: its answers tell, and its end where they don't."""
    outputs = _answers(network, arrays)
    if not np.isfinite(outputs).all():
        raise BundleError("the model's outputs are not all numbers")
    if outputs.min() >= 0 and np.allclose(outputs.sum(axis=1), 1, atol=0.01):
        return network, "scores by softmax"
    if outputs.min() >= 0 and outputs.max() <= 1 and not linear:
        raise BundleError(
            "the model's outputs lie between 0 and 1 but don't sum to 1: softmax or logits are needed, not sigmoid"
        )
    return keras.Model(network.input, layers.Softmax()(network.output)), "logits; a softmax was added"


def _converted(network: keras.Model) -> bytes:
    try:
        with quiet():
            return convert(network)
    except (ConverterError, ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        operators = sorted(set(re.findall(r"'tf\.(\w+)' op", str(error))))
        why = f"LiteRT has no {', '.join(operators)}" if operators else " ".join(str(error).split())[:300]
        raise BundleError(f"the model can't be converted with LiteRT's built-in operators: {why}") from error


def _compared(classifier: Classifier, network: keras.Model, arrays: Sequence[NDArray[np.float32]]) -> str:
    theirs = _answers(network, arrays)
    ours = np.stack([classifier.classify(array) for array in arrays])
    off = float(np.abs(ours - theirs).max())
    if not off <= TOLERANCE:
        raise BundleError(f"LiteRT's scores are off from Keras's by {off:.3f}, more than {TOLERANCE}")
    same = int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum())
    return (
        f"compared with Keras: {same} of {len(arrays)} pictures get the same label, scores differ by {off:.4f} at most"
    )


def _answers(network: keras.Model, arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    with quiet():
        return np.concatenate([keras.ops.convert_to_numpy(network(array, training=False)) for array in arrays])


def _decoded(path: str, spec: InputSpec) -> Image.Image:
    try:
        return decode(read(path), spec, MAX_PIXELS)
    except (OSError, RequestError) as error:
        raise BundleError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _some(items: Sequence[Any], count: int) -> list[Any]:
    """At most so many, evenly spread."""
    return [items[i] for i in np.linspace(0, len(items) - 1, min(count, len(items))).astype(int)]
