"""Turn a trained network into a bundle: `python -m training.export NAME VERSION --work DIR …`."""

import argparse
import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from service.bundle import MANIFEST, MODEL, InputSpec, read_bundle
from service.inference import Classifier
from service.preprocessing import preprocess
from training import network
from training.batches import MAX_PIXELS
from training.data import LABELS, read_fashion
from training.evaluate import evaluate
from training.train import CLOTHES_INPUT, MLP_INPUT


def convert(model: keras.Model) -> bytes:
    """LiteRT of a Keras model: built-in operators only, weights in half precision."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


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
) -> None:
    """Write a bundle; its golden scores are what the serving path gives for the golden pictures.

    `senders` are those whose photographs were trained on or set the temperature, for `evaluate` to leave out.
    """
    (folder / "golden").mkdir(parents=True)
    (folder / MODEL).write_bytes(content)
    for picture in golden:
        shutil.copyfile(picture, folder / "golden" / picture.name)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("lookbook-clothes", "fashion-mnist-mlp"))
    parser.add_argument("version")
    parser.add_argument("--work", type=Path, required=True, help="where training left network.keras")
    parser.add_argument("--fashion", type=Path, required=True)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--golden", type=Path, nargs="*", default=[], help="photographs that become golden pictures")
    parser.add_argument("--out", type=Path, default=Path("models"))
    options = parser.parse_args()
    clothes = options.name == "lookbook-clothes"
    spec, labels = (CLOTHES_INPUT, LABELS) if clothes else (MLP_INPUT, LABELS[:10])
    trained = keras.models.load_model(options.work / "network.keras", compile=False)
    training = json.loads((options.work / "training.json").read_text())
    content = convert(network.calibrated(trained, training["temperature"]))
    target = options.out / options.name / options.version
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        drawings, numbers = read_fashion(options.fashion, "t10k")
        golden = []
        for photo in options.golden:
            # As PNG: its pixels are the same whichever decoder reads them.
            golden.append(Path(scratch, f"{photo.stem}.png"))
            Image.open(photo).convert("RGB").save(golden[-1])
        for number in (1, 5, 8):
            picture = Path(scratch, f"fashion-{number}.png")
            Image.fromarray(drawings[list(numbers).index(number)]).save(picture)
            golden.append(picture)
        parts = {
            "name": options.name,
            "version": options.version,
            "labels": labels,
            "spec": spec,
            "golden": golden,
            "senders": training["senders_seen"],
        }
        licence = "MIT; trained on Fashion-MNIST (MIT)" + (
            ", on the Clothing dataset of Alexey Grigorev and contributors (free for any purpose), "
            "from EfficientNet-Lite0's weights (Apache 2.0)"
            if clothes
            else ""
        )
        # Measured on a bundle without figures, then written again with them: they are the serving path's.
        draft = Path(scratch, "draft")
        write_bundle(draft, content, licence=licence, metrics={}, **parts)
        metrics = evaluate(Classifier(read_bundle(draft)), options.fashion, options.photos)
        write_bundle(Path(scratch, "final"), content, licence=licence, metrics=metrics, **parts)
        os.rename(Path(scratch, "final"), target)
    print(json.dumps(metrics, indent=1))


if __name__ == "__main__":
    main()
