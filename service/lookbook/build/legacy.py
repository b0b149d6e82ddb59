"""Files saved by Keras 2 as .h5, made readable for Keras 3. Tests: tests/unit/test_build.py."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

_CONFIG = "model_config"


def modernize(path: Path, copy: Path) -> None:
    """Write a copy of an .h5 file whose description of the model Keras 3 understands; the weights are the same.

    Raises ValueError, LookupError, TypeError, and OSError if the file is damaged.
    """
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        if _CONFIG in file.attrs:  # else it has weights only
            file.attrs[_CONFIG] = json.dumps(json.loads(file.attrs[_CONFIG], object_hook=_modern))


def _modern(config: dict[str, Any]) -> Any:
    if config.get("class_name") == "Policy":
        return config["config"]["name"]
    if config.get("class_name") == "Functional" and "module" in config:
        config["module"] = "keras.src.models.functional"
    if isinstance(config.get("layers"), list):
        _drop_shapes(config["layers"])
    if "output_layers" in config:
        _renumber(config)
    # Keras 3 refuses these keys, even with their default values.
    without = {"rng_type", "groups"} if config.get("groups") == 1 else {"rng_type"}
    return {key: value for key, value in config.items() if key not in without}


def _drop_shapes(layers: list[dict[str, Any]]) -> None:
    """Drop the input shapes of the other layers if an InputLayer states the shape."""
    if any(layer["class_name"] == "InputLayer" for layer in layers):
        for layer in layers:
            if layer["class_name"] != "InputLayer":
                layer["config"].pop("batch_input_shape", None)


def _renumber(graph: dict[str, Any]) -> None:
    """Number the calls of inner models from 0, where Keras 2 counted from 1."""
    inner = {layer["config"]["name"] for layer in graph["layers"] if "layers" in layer["config"]}
    calls = [call for call in _calls([graph["output_layers"], *_inbound(graph)]) if call[0] in inner]
    for name in inner:
        own = [call for call in calls if call[0] == name]
        if all(call[1] >= 1 for call in own):
            for call in own:
                call[1] -= 1


def _inbound(graph: dict[str, Any]) -> Iterator[Any]:
    for layer in graph["layers"]:
        yield layer.get("inbound_nodes", [])


def _calls(tree: Any) -> Iterator[list[Any]]:
    """The lists in nested lists that are a layer's name, the number of a call of it, and more."""
    if isinstance(tree, list) and len(tree) >= 3 and isinstance(tree[0], str) and isinstance(tree[1], int):
        yield tree
    elif isinstance(tree, list):
        for branch in tree:
            yield from _calls(branch)
