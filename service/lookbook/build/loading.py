"""A saved Keras model, loaded without running its author's code. Tests: tests/unit/test_build.py."""

import json
import re
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras
from keras import layers

from lookbook.build.legacy import modernize
from lookbook.build.source import RANGES
from lookbook.model.bundle import BundleError, InputSpec
from lookbook.model.quiet import quiet

_HDF5 = b"\x89HDF\r\n\x1a\n"
WHITE = (255, 255, 255)

# What Keras, zipfile, and h5py raise if a file is damaged or asks for something forbidden.
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


def load(path: Path) -> keras.Model:
    """The built model in a .keras or .h5 file; it computes in float32. Raises BundleError."""
    _check_format(path)
    try:
        with quiet():
            model = _loaded(path)
    except _BROKEN as error:
        reason = _resave(path, "it was saved by Keras 2") if _is_keras_2(path) else _why_not_loaded(str(error))
        raise BundleError(f"{path}: {reason}") from error
    if not isinstance(model, keras.Model) or not model.built:
        raise BundleError(
            f"{path}: the model is not built: begin it with keras.Input((height, width, channels)), and save it again"
        )
    for layer in model._flatten_layers():
        if layer.compute_dtype in ("float16", "bfloat16"):
            # LiteRT's built-in operators do not compute in half precision.
            layer.dtype_policy = "float32"
    return model


def _loaded(path: Path) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "model.h5")
        if path.suffix != ".keras":
            modernize(path, copy)
            path = copy
        return keras.saving.load_model(path, compile=False, safe_mode=True)


def _check_format(path: Path) -> None:
    """Raises BundleError unless it is a file that Keras 3 can load."""
    if (path / "saved_model.pb").exists():
        raise BundleError(f"{path}: {_resave(path, 'a SavedModel folder, which Keras 3 cannot load')}")
    if not path.is_file():
        raise BundleError(f"{path}: {'a folder, not a .keras or .h5 file' if path.is_dir() else 'no such file'}")
    if path.suffix == ".keras" and zipfile.is_zipfile(path):
        return
    with path.open("rb") as file:
        is_hdf5 = file.read(len(_HDF5)) == _HDF5
    if path.suffix not in (".h5", ".hdf5") or not is_hdf5:
        raise BundleError(
            f"{path}: not a .keras or .h5 file: save the model with model.save('my_model.keras') in Keras 3"
        )


def _is_keras_2(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as file:
            return str(json.loads(file.read("metadata.json"))["keras_version"]).startswith("2.")
    except _BROKEN:
        return False


def _resave(path: Path, reason: str) -> str:
    return (
        f"{reason}: with tf_keras (tf.keras before TensorFlow 2.16), run "
        f"model = tf_keras.models.load_model({path.name!r}) and model.save('my_model.h5'), and build from my_model.h5"
    )


def input_spec(model: keras.Model, pixels: str, resize: str) -> InputSpec:
    """How an image becomes the model's input; `pixels` is one of RANGES. Raises BundleError."""
    for side, tensors in (("input", model.inputs), ("output", model.outputs)):
        if len(tensors) != 1:
            raise BundleError(f"the model has {len(tensors)} {side}s; it must have one")
    shape = tuple(model.inputs[0].shape[1:])
    height: Any
    width: Any
    channels: Any
    height, width, channels = shape if len(shape) == 3 else (*shape, 1) if len(shape) == 2 else (None, None, None)
    if channels not in (1, 3) or not all(side and side <= 4096 for side in (height, width)):
        raise BundleError(f"the model's input {shape} is not an image of a fixed size: (height, width, 1 or 3)")
    mean, std = RANGES[pixels]
    color = "rgb" if channels == 3 else "grayscale"
    return InputSpec(height, width, color, resize, WHITE, (mean,) * channels, (std,) * channels)


def for_one_image(model: keras.Model, spec: InputSpec, labels: int) -> keras.Model:
    """The model from (1, height, width, channels) to (1, labels or 1), in float32. Raises BundleError."""
    inputs = keras.Input(batch_shape=(1, spec.height, spec.width, spec.channels))
    x = inputs if len(model.inputs[0].shape) == 4 else layers.Reshape((spec.height, spec.width))(inputs)
    with quiet():
        # The model may return its one tensor in a list or dictionary.
        (outputs,) = keras.tree.flatten(model(x, training=False))
    if len(outputs.shape) != 2:
        shape = tuple(model.outputs[0].shape[1:])
        raise BundleError(f"the model's output {shape} is not one score per label: its shape must be ({labels},)")
    if outputs.shape[1] == 1 and labels != 2:
        raise BundleError(f"the model returns one score, which is for 2 labels, but there are {labels} labels")
    if outputs.shape[1] not in (1, labels):
        raise BundleError(f"the model returns {outputs.shape[1]} scores, but there are {labels} labels")
    return keras.Model(inputs, layers.Activation("linear", dtype="float32")(outputs))


def _why_not_loaded(message: str) -> str:
    if "`Lambda` layer" in message:
        return "it has a Lambda layer, whose Python code is not run: use Keras's layers or keras.ops instead"
    if "No model config" in message:
        return (
            "it has weights but no model: make the model in Python, then run "
            "model.load_weights(...) and model.save('my_model.keras')"
        )
    missing = re.search(r"(?:Could not locate (?:class|function)|Unknown layer:) '([^']+)'", message)
    if missing and missing[1] in ("TFOpLambda", "SlicingOpLambda"):
        return "it has TensorFlow operations of Keras 2, which Keras 3 cannot load: rebuild it with layers of Keras 3"
    if missing:
        return f"it needs {missing[1]}, which is not part of Keras: custom Python code is not run"
    return "cannot be read: " + " ".join(message.split())[:300]
