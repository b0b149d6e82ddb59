"""Turn a trained network into a bundle: `python -m training.export NAME VERSION --work DIR …`."""

import argparse
import json
import os
import tempfile
from pathlib import Path

import keras
from lookbook.build.writer import convert, write_bundle
from lookbook.model.bundle import read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.pillow import configure_pillow
from PIL import Image

from training import network
from training.card import write_card
from training.data import LABELS, read_fashion
from training.evaluate import evaluate, figures, table
from training.train import MLP_INPUT, clothes_input

LICENCES = {
    "fashion-mnist-mlp": "MIT; trained on Fashion-MNIST (MIT)",
    "lookbook-clothes": "MIT; trained on Fashion-MNIST (MIT) and on the Clothing dataset of Alexey Grigorev and "
    "contributors (free for any purpose), starting from the weights of EfficientNet-Lite0 (Apache 2.0)",
}


def main() -> None:
    configure_pillow()
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
    trained = keras.models.load_model(options.work / "network.keras", compile=False)
    spec, labels = (clothes_input(trained.input_shape[1]), LABELS) if clothes else (MLP_INPUT, LABELS[:10])
    training = json.loads((options.work / "training.json").read_text())
    trained = network.both_ways(trained) if clothes else trained
    content = convert(network.calibrated(trained, training["temperature"]))
    target = options.out / options.name / options.version
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        drawings, numbers = read_fashion(options.fashion, "t10k")
        golden = []
        for photo in options.golden:
            # As PNG: its pixels are the same whichever decoder reads them. Small: each pod pulls them.
            golden.append(Path(scratch, f"{photo.stem}.png"))
            picture = Image.open(photo).convert("RGB")
            picture.thumbnail((spec.width, spec.height))
            picture.save(golden[-1], optimize=True)
        for number in (1, 5, 8):
            golden.append(Path(scratch, f"fashion-{number}.png"))
            Image.fromarray(drawings[list(numbers).index(number)]).save(golden[-1])
        parts = {
            "name": options.name,
            "version": options.version,
            "labels": labels,
            "spec": spec,
            "golden": golden,
            "licence": LICENCES[options.name],
            "senders": training["senders_seen"],
        }
        # Measured on a bundle without figures and card: both tell what the serving path answers.
        draft, final = Path(scratch, "draft"), Path(scratch, "final")
        write_bundle(draft, content, metrics={}, **parts)
        bundle = read_bundle(draft)
        sets = evaluate(Classifier(bundle), options.fashion, options.photos)
        metrics = figures(sets)
        card = write_card(bundle, sets, metrics, Path(scratch))
        write_bundle(final, content, metrics=metrics, card=card, **parts)
        os.rename(final, target)
    print(table(metrics))


if __name__ == "__main__":
    main()
