"""Turn a trained network into a bundle: `python -m training.export NAME VERSION --work FOLDER ...`."""

import argparse
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from lookbook.build.conversion import convert
from lookbook.build.writer import Draft, write_bundle
from lookbook.model.bundle import InputSpec, read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.pillow import configure_pillow
from numpy.typing import NDArray
from PIL import Image

from training import network
from training.batches import arrays, fashion_arrays
from training.card import write_card
from training.data import LABELS, read_fashion, read_photos
from training.evaluate import evaluate, figures, table
from training.quantization import quantize
from training.train import MLP_INPUT, clothes_input

LICENSES = {
    "fashion-mnist-mlp": "MIT; trained on Fashion-MNIST (MIT)",
    "lookbook-clothes": "MIT; trained on Fashion-MNIST (MIT) and on the Clothing dataset of Alexey Grigorev and "
    "contributors (free for any purpose), starting from the weights of EfficientNet-Lite0 (Apache 2.0)",
}
# Labels of which one drawing each becomes a golden image: Trouser, Sandal, Bag.
_GOLDEN_DRAWINGS = (1, 5, 8)
# Of photographs, drawings, and inverted drawings each, which set the ranges of the integers.
_SAMPLES = 150


def main() -> None:
    configure_pillow()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("lookbook-clothes", "fashion-mnist-mlp"))
    parser.add_argument("version")
    parser.add_argument("--work", type=Path, required=True, help="folder in which training left network.keras")
    parser.add_argument("--fashion", type=Path, required=True, help="folder of Fashion-MNIST's four .gz files")
    parser.add_argument("--photos", type=Path, help="folder of photographs with an index.csv")
    parser.add_argument("--golden", type=Path, nargs="*", default=[], help="photographs that become golden images")
    parser.add_argument("--side", type=int, help="side of the input in pixels (default: as in training)")
    parser.add_argument("--out", type=Path, default=Path("models"), help="folder of bundles")
    options = parser.parse_args()
    target = options.out / options.name / options.version
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        draft = _draft(options, Path(scratch))
        # The figures and the card need predictions, so the first bundle has neither.
        first, final = Path(scratch, "first"), Path(scratch, "final")
        write_bundle(first, draft)
        bundle = read_bundle(first)
        sets = evaluate(Classifier(bundle), options.fashion, options.photos)
        metrics = figures(sets)
        card = write_card(bundle, sets, metrics, Path(scratch))
        write_bundle(final, replace(draft, metrics=metrics, card=card))
        os.rename(final, target)
    print(table(metrics))


def _draft(options: argparse.Namespace, scratch: Path) -> Draft:
    """The bundle without figures and card; its golden images are written to `scratch`."""
    trained = keras.models.load_model(options.work / "network.keras", compile=False)
    training = json.loads((options.work / "training.json").read_text())
    if training["senders_seen"] and not options.photos:
        raise SystemExit(f"{options.work}: this network was trained with photographs: give --photos")
    labels: Sequence[str]
    if options.name == "lookbook-clothes":
        labels, spec = LABELS, clothes_input(options.side or trained.input_shape[1])
        resized = network.lite(spec, len(LABELS))
        resized.set_weights(trained.get_weights())
        model = network.calibrated(resized, training["temperature"])
        content = quantize(model, _samples(options, spec, training["senders_seen"]))
        spec = replace(spec, type="uint8")
    else:
        labels, spec = LABELS[:10], MLP_INPUT
        content = convert(network.calibrated(trained, training["temperature"]))
    return Draft(
        name=options.name,
        version=options.version,
        license=LICENSES[options.name],
        labels=labels,
        input=spec,
        model=content,
        golden=[*_golden_photos(options.golden, spec, scratch), *_golden_drawings(options.fashion, scratch)],
        senders=training["senders_seen"],
    )


def _samples(options: argparse.Namespace, spec: InputSpec, senders: Sequence[str]) -> NDArray[np.float32]:
    """Training images of each kind: (n, height, width, channels)."""
    drawings, _ = read_fashion(options.fashion, "train")
    some = drawings[:: max(1, len(drawings) // _SAMPLES)]
    kinds = [fashion_arrays(some, spec), fashion_arrays(255 - some, spec)]
    # A network trained on drawings alone has seen no sender.
    if senders:
        photos = [photo for photo in read_photos(options.photos) if photo.sender in senders]
        if not photos:
            raise SystemExit(f"{options.photos}: no photographs by the senders that the network was trained with")
        kinds.append(arrays(photos[:: max(1, len(photos) // _SAMPLES)], spec))
    return np.concatenate(kinds)


def _golden_photos(photos: Iterable[Path], spec: InputSpec, folder: Path) -> list[Path]:
    """The photographs as PNG, whose pixels are the same with every decoder; small, because each pod pulls them."""
    written = []
    for photo in photos:
        image = Image.open(photo).convert("RGB")
        image.thumbnail((spec.width, spec.height))
        written.append(folder / f"{photo.stem}.png")
        image.save(written[-1], optimize=True)
    return written


def _golden_drawings(fashion: Path, folder: Path) -> list[Path]:
    drawings, numbers = read_fashion(fashion, "t10k")
    written = []
    for number in _GOLDEN_DRAWINGS:
        written.append(folder / f"fashion-{number}.png")
        Image.fromarray(drawings[list(numbers).index(number)]).save(written[-1])
    return written


if __name__ == "__main__":
    main()
