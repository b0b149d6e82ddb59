"""What every peer runs: Pillow opens, converts, and resizes; LiteRT classifies. Needs no part of Lookbook."""

import io
import json
import os
import threading
from pathlib import Path

import numpy as np
from PIL import Image

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:  # TensorFlow has an engine of its own.
    import tensorflow

    Interpreter = tensorflow.lite.Interpreter

MODEL = "MODEL"


class Classifier:
    """The model of the bundle at $MODEL. Safe to use from several threads."""

    def __init__(self) -> None:
        folder = Path(os.environ[MODEL])
        manifest = json.loads((folder / "model.json").read_text())
        spec = manifest["input"]
        self._labels = manifest["labels"]
        self._size = tuple(spec["size"])
        self._mode = "L" if spec["color"] == "grayscale" else "RGB"
        self._mean, self._std = (np.array(spec[name], np.float32) for name in ("mean", "std"))
        self._dtype = np.dtype(spec.get("type", "float32"))
        self._interpreter = Interpreter(model_path=str(folder / "model.tflite"), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._lock = threading.Lock()

    def classify(self, data: bytes) -> tuple[str, float]:
        """The label with the highest score, and the score. Raises what Pillow raises if the data are no image."""
        image = Image.open(io.BytesIO(data)).convert(self._mode).resize(self._size)
        array = np.asarray(image, self._dtype).reshape(1, *image.size[::-1], -1)
        if self._dtype == np.float32:
            array = (array / np.float32(255) - self._mean) / self._std
        with self._lock:
            self._interpreter.set_tensor(self._input, array)
            self._interpreter.invoke()
            scores = self._interpreter.get_tensor(self._output)[0]
        best = int(scores.argmax())
        return self._labels[best], float(scores[best])
