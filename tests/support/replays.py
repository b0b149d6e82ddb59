"""Stored predictions with their inputs, for replays."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lookbook.model.decoding import decode
from lookbook.model.inference import Classifier
from lookbook.model.preprocessing import to_array
from lookbook.prediction import Prediction, id_maker
from lookbook.store import Entry, Input, Store
from PIL import Image, ImageEnhance


def variants(path: Path, count: int) -> list[bytes]:
    """The image, darker and darker; PNG as the model sees it."""
    found = []
    for number in range(count):
        out = io.BytesIO()
        ImageEnhance.Brightness(Image.open(path).convert("L")).enhance(1 - number / 100).save(out, "PNG")
        found.append(out.getvalue())
    return found


def sample(
    store: Store, classifier: Classifier, images: list[bytes], rate: float | None = 1.0, kind: str = "pixels"
) -> list[Prediction]:
    """Store the predictions for images, made yesterday, with their inputs."""
    noon = datetime.now(UTC).replace(hour=12, minute=0) - timedelta(days=1)
    make = id_maker(clock=lambda: int(noon.timestamp()) * 10**9)
    bundle, made = classifier.bundle, []
    for image in images:
        array = to_array(decode(image, bundle.input, 10**8), bundle.input)
        top = classifier.top(classifier.classify(array))
        made.append(Prediction(make(), "", top, bundle.name, bundle.version))
        store.put(Entry(made[-1], None, rate, Input(kind, image)))
    return made


def exchange_labels(manifest: dict[str, Any]) -> None:
    """Make a bundle a newer version that says Bag for Shirt, and Shirt for Bag."""
    labels = manifest["labels"]
    bag, shirt = labels.index("Bag"), labels.index("Shirt")
    labels[bag], labels[shirt] = labels[shirt], labels[bag]
    manifest["version"] = "3.0.0"
