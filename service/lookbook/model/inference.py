"""The classifier; the only serving module that imports the inference engine."""

import queue
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from lookbook.model.bundle import BUILD_AGAIN, Bundle, BundleError
from lookbook.model.preprocessing import preprocess

TOLERANCE = 0.02  # by which a golden score may differ on another processor
_GOLDEN_PIXELS = 25_000_000


class Classifier:
    """The model of a verified bundle. Safe to use from several threads."""

    def __init__(self, bundle: Bundle, interpreters: int = 1) -> None:
        """Raises BundleError if the model's shapes or golden scores differ from the manifest."""
        self.bundle = bundle
        self._free: queue.SimpleQueue[Interpreter] = queue.SimpleQueue()
        content = bundle.model.read_bytes()
        for _ in range(interpreters):
            self._free.put(_interpreter(bundle, content))
        # Looked up once, because that is slow; the same for all interpreters.
        interpreter = self._free.get()
        self._input = interpreter.get_input_details()[0]["index"]
        self._output = interpreter.get_output_details()[0]["index"]
        self._free.put(interpreter)
        self._check_golden()

    def classify(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """Scores of shape (labels,) for an array of shape (1, height, width, channels), as from to_array()."""
        interpreter = self._free.get()
        try:
            interpreter.set_tensor(self._input, array)
            interpreter.invoke()
            scores: NDArray[np.float32] = interpreter.get_tensor(self._output)[0]
            return scores
        finally:
            self._free.put(interpreter)

    def top(self, scores: NDArray[np.float32]) -> tuple[tuple[str, float], ...]:
        """The three labels with the highest scores, best first."""
        best = np.argsort(scores)[::-1][:3]
        return tuple((self.bundle.labels[i], round(float(scores[i]), 6)) for i in best)

    def _check_golden(self) -> None:
        for golden in self.bundle.golden:
            scores = self.classify(preprocess(golden.path.read_bytes(), self.bundle.input, _GOLDEN_PIXELS))
            difference = float(np.abs(scores - np.array(golden.scores, np.float32)).max())
            # Written so that NaN fails, too.
            if not difference <= TOLERANCE:
                raise BundleError(
                    f"{golden.path}: the model's score for this golden image differs by {difference:.3f} (allowed: "
                    f"{TOLERANCE}): the bundle is damaged, or was built for another version of LiteRT or another "
                    "processor",
                    BUILD_AGAIN,
                )


def _interpreter(bundle: Bundle, content: bytes) -> Interpreter:
    try:
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise BundleError(f"{bundle.model}: LiteRT cannot run this model: {error}", BUILD_AGAIN) from error
    spec = bundle.input
    inputs, shape = interpreter.get_input_details(), (1, spec.height, spec.width, spec.channels)
    _check_tensor(bundle, "input", inputs, spec.type, shape)
    _check_tensor(bundle, "output", interpreter.get_output_details(), "float32", (1, len(bundle.labels)))
    if spec.type == "uint8":
        _check_normalization(bundle, *inputs[0]["quantization"])
    return interpreter


def _check_tensor(bundle: Bundle, side: str, details: list[dict[str, Any]], dtype: str, shape: tuple[int, ...]) -> None:
    if len(details) != 1:
        raise BundleError(f"{bundle.model}: it has {len(details)} {side}s, but must have one", BUILD_AGAIN)
    found = f"{np.dtype(details[0]['dtype'])} {tuple(int(n) for n in details[0]['shape'])}"
    if found != f"{dtype} {shape}":
        raise BundleError(
            f"{bundle.model}: its {side} is {found}, but the manifest says {dtype} {shape}",
            BUILD_AGAIN,
        )


def _check_normalization(bundle: Bundle, scale: float, zero_point: int) -> None:
    """Raises BundleError if a pixel value means another one, by more than 1, to the model than to the manifest."""
    spec = bundle.input
    for mean, std in zip(spec.mean, spec.std, strict=True):
        for pixel in (0, 255):
            if not abs(((pixel - zero_point) * scale * std + mean) * 255 - pixel) <= 1:
                raise BundleError(
                    f"{bundle.model}: its input is (pixel - {zero_point}) * {scale:.6g}, but the manifest says "
                    f"(pixel / 255 - {mean:g}) / {std:g}",
                    BUILD_AGAIN,
                )
