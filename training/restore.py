"""Restore the network of a released bundle: `python -m training.restore BUNDLE --work FOLDER`.

The folder is then like one in which training has left its network: `training.export` makes a bundle of it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from lookbook.model.bundle import Bundle, read_bundle

from training import network
from training.data import LABELS
from training.train import clothes_input

# LiteRT has (out, height, width, in), or (1, height, width, channels) if depthwise, or (out, in) if dense.
_TO_KERAS = {"CONV_2D": (1, 2, 3, 0), "DEPTHWISE_CONV_2D": (1, 2, 3, 0), "FULLY_CONNECTED": (1, 0)}


def restore(bundle: Bundle) -> tuple[keras.Model, float]:
    """The network and the temperature of a bundle of this network in half precision."""
    interpreter = Interpreter(model_path=str(bundle.model))
    # There is no public way to list them.
    operations = interpreter._get_ops_details()
    halves = {int(each["outputs"][0]): int(each["inputs"][0]) for each in operations if each["op_name"] == "DEQUANTIZE"}

    def constant(index: int) -> Any:
        return np.asarray(interpreter.get_tensor(halves.get(int(index), int(index))), np.float32)

    model = network.lite(clothes_input(bundle.input.height), len(LABELS))
    layers = [layer for layer in model.layers if layer.get_weights()]
    weighted = [each for each in operations if each["op_name"] in _TO_KERAS]
    for layer, operation in zip(layers, weighted, strict=True):
        _, kernel, bias = operation["inputs"]
        layer.set_weights([constant(kernel).transpose(_TO_KERAS[operation["op_name"]]), constant(bias)])
    # The last multiplication is by the inverse of the temperature.
    *_, scaling = (each for each in operations if each["op_name"] == "MUL")
    return model, 1 / float(constant(scaling["inputs"][1]).item())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for the network")
    options = parser.parse_args()
    bundle = read_bundle(options.bundle)
    if bundle.name != "lookbook-clothes" or bundle.input.type != "float32":
        parser.error(f"{options.bundle}: only bundles of lookbook-clothes before 2.3.0 can be restored")
    model, temperature = restore(bundle)
    options.work.mkdir(parents=True, exist_ok=True)
    model.save(options.work / "network.keras")
    senders = bundle.manifest["senders_seen"]
    (options.work / "training.json").write_text(json.dumps({"temperature": temperature, "senders_seen": senders}))


if __name__ == "__main__":
    main()
