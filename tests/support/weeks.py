"""A store with weeks of sampled predictions, for tests and screenshots of the web page."""

import io
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import requests
from lookbook.model.bundle import read_bundle
from lookbook.model.thumbnails import make_thumbnail
from lookbook.prediction import Prediction, id_maker
from lookbook.store import Entry, Input
from lookbook.store.sqlite import SqliteStore
from PIL import Image

from tests.support.places import MLP, PHOTOS

DAY = 86_400 * 10**9
# What the photographs show, as the shipped models name it.
SHOWN = {
    "blazer": "Coat",
    "coat": "Coat",
    "dress": "Dress",
    "hoodie": "Pullover",
    "longsleeve": "Pullover",
    "shirt": "Shirt",
    "shoes": "Sneaker",
    "t-shirt": "T-shirt/top",
    "trousers": "Trouser",
}


def fill_weeks(
    path: Path, days: int = 1, per_day: int = 12, model: Path = MLP, change: int | None = None
) -> dict[str, str]:
    """Fill a new SQLite file with sampled predictions of the model, up to now; returns what each image shows, by ID.

    A prediction is right as often as its score says. On the last `change` days, most images are coats.
    """
    manifest = read_bundle(model).manifest
    images = [(label, *_encoded(PHOTOS / f"{name}.jpg")) for name, label in SHOWN.items()]
    chance, now, truths = np.random.default_rng(1), time.time_ns(), dict[str, str]()
    moments = (now - day * DAY - number * 10**9 for day in reversed(range(days)) for number in range(per_day))
    with closing(SqliteStore(str(path), lambda _: None)) as store:
        entries = []
        for moment in moments:
            changed = change is not None and now - moment < change * DAY
            place = chance.integers(2) if changed and chance.random() < 0.6 else chance.integers(len(images))
            label, thumbnail, content = images[place]
            id = id_maker(clock=lambda moment=moment: moment)()  # type: ignore[misc]
            top = _scores(label, manifest["labels"], chance)
            prediction = Prediction(id, "", top, manifest["name"], manifest["version"])
            entries.append(Entry(prediction, thumbnail, 1.0, Input("pixels", content)))
            truths[str(id)] = label
        store.put_all(entries)
    return truths


def judge(url: str, id: str, label: str) -> None:
    requests.post(f"{url}/v1/predictions/{id}/ground-truths", json={"label": label}, timeout=30).raise_for_status()


def judge_in_order(url: str, truths: dict[str, str], most: int) -> None:
    """Judge at most `most` predictions in the order that the service asks for."""
    while most > 0:
        query: dict[str, str | int] = {"limit": min(most, 20), "annotator": "test"}
        items = requests.get(f"{url}/v1/reviews", query, timeout=30).json()["items"]
        if not items:
            return
        for item in items:
            judge(url, item["id"], truths[item["id"]])
        most -= len(items)


def _scores(label: str, labels: list[str], chance: np.random.Generator) -> tuple[tuple[str, float], ...]:
    score = float(0.5 + 0.5 * chance.beta(3, 1))
    others = [other for other in labels if other != label]
    names = [label, *chance.choice(others, 2, replace=False).tolist()]
    if chance.random() > score:
        names = [names[1], names[0], names[2]]
    rest = 1 - score
    return (names[0], score), (names[1], rest * 0.6), (names[2], rest * 0.3)


def _encoded(path: Path) -> tuple[bytes, bytes]:
    """The thumbnail, and what a model sees, as PNG."""
    image = Image.open(path).convert("RGB")
    image.thumbnail((96, 96))
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return make_thumbnail(image), buffer.getvalue()
