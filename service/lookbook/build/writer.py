"""Write a bundle: the model as LiteRT, golden images with their scores, digests, and the manifest.

Tests: tests/unit/test_build.py, tests/unit/test_training.py.
"""

import hashlib
import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Draft:
    """The contents of a bundle.

    `model` is LiteRT, `golden` are paths of images, `card` those of the model card's files. `senders` are the people
    whose photographs the model was trained on: `evaluate` leaves their photographs out.
    """

    name: str
    version: str
    license: str
    labels: Sequence[str]
    input: InputSpec
    model: bytes
    golden: Sequence[Path]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    senders: Sequence[str] = ()
    card: Sequence[Path] = ()


def write_bundle(folder: Path, draft: Draft) -> None:
    """Write a bundle to a new folder. Its golden scores are those that serving computes for the golden images."""
    (folder / "golden").mkdir(parents=True)
    (folder / MODEL).write_bytes(draft.model)
    for image in draft.golden:
        shutil.copyfile(image, folder / "golden" / image.name)
    for file in draft.card:
        shutil.copyfile(file, folder / file.name)
    (folder / MANIFEST).write_text(json.dumps(_manifest(folder, draft), indent=1) + "\n")


def _manifest(folder: Path, draft: Draft) -> dict[str, Any]:
    manifest = {
        "name": draft.name,
        "version": draft.version,
        "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "license": draft.license,
        "format": "tflite",
        "labels": list(draft.labels),
        "input": draft.input.to_json(),
        "files": {str(path.relative_to(folder)): _digest(path) for path in sorted(folder.rglob("*")) if path.is_file()},
        "golden": _golden(draft),
        "metrics": dict(draft.metrics),
        "trained_with": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }
    if draft.senders:
        manifest["senders_seen"] = list(draft.senders)
    return manifest


def _digest(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _golden(draft: Draft) -> list[dict[str, Any]]:
    interpreter = Interpreter(model_content=draft.model)
    interpreter.allocate_tensors()
    input, output = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    found = []
    for image in draft.golden:
        interpreter.set_tensor(input, preprocess(image.read_bytes(), draft.input, MAX_PIXELS))
        interpreter.invoke()
        scores = [round(float(score), 6) for score in interpreter.get_tensor(output)[0]]
        found.append({"file": f"golden/{image.name}", "scores": scores})
    return found
