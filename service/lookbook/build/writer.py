"""Write a bundle: a Keras model's LiteRT, golden pictures with their scores, digests and the manifest."""

import hashlib
import json
import platform
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from lookbook.model.bundle import MANIFEST, MODEL, InputSpec
from lookbook.model.preprocessing import preprocess

MAX_PIXELS = 25_000_000


def convert(model: keras.Model) -> bytes:
    """LiteRT of a Keras model: built-in operators only, weights in half precision."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    content: bytes = converter.convert()
    return content


def write_bundle(
    folder: Path,
    content: bytes,
    *,
    name: str,
    version: str,
    labels: Sequence[str],
    spec: InputSpec,
    golden: Sequence[Path],
    licence: str,
    metrics: dict[str, Any],
    senders: Sequence[str] = (),
    card: Sequence[Path] = (),
) -> None:
    """Write a bundle; its golden scores are what the serving path gives for the golden pictures.

    `senders` are those whose photographs had a part in it, for `evaluate` to leave out; `card`: a model card's files.
    """
    (folder / "golden").mkdir(parents=True)
    (folder / MODEL).write_bytes(content)
    for picture in golden:
        shutil.copyfile(picture, folder / "golden" / picture.name)
    for file in card:
        shutil.copyfile(file, folder / file.name)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    manifest = {
        "name": name,
        "version": version,
        "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "license": licence,
        "format": "tflite",
        "labels": list(labels),
        "input": spec.to_json(),
        "files": {
            str(path.relative_to(folder)): {
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != MANIFEST
        },
        "golden": [
            {"file": f"golden/{picture.name}", "scores": _scores(interpreter, picture.read_bytes(), spec)}
            for picture in golden
        ],
        "metrics": metrics,
        "trained_with": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }
    if senders:
        manifest["senders_seen"] = list(senders)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def _scores(interpreter: Interpreter, data: bytes, spec: InputSpec) -> list[float]:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], preprocess(data, spec, MAX_PIXELS))
    interpreter.invoke()
    scores = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
    return [round(float(score), 6) for score in scores]
