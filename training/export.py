"""Turn a trained network into a bundle: `python -m training.export NAME VERSION --work DIR …`."""

import argparse
import json
import os
import tempfile
from pathlib import Path

import keras
from PIL import Image

from service.bundle import read_bundle
from service.inference import Classifier
from training import network
from training.bundle import convert, write_bundle
from training.data import LABELS, read_fashion
from training.evaluate import evaluate
from training.train import CLOTHES_INPUT, MLP_INPUT


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
    value = json.loads((options.work / "temperature.json").read_text())
    content = convert(network.calibrated(trained, value))
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
        parts = {"name": options.name, "version": options.version, "labels": labels, "spec": spec, "golden": golden}
        licence = "MIT; trained on Fashion-MNIST (MIT)" + (
            " and on the Clothing dataset of Alexey Grigorev and contributors (free for any purpose)" if clothes else ""
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
