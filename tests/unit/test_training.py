"""Training on a dozen images, in seconds: the real code, the real network, and the bundle that comes out."""

import csv
import gzip
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lookbook.model.bundle import read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.preprocessing import preprocess

from tests.support.commands import SOURCES
from tests.support.places import PHOTOS, ROOT
from tests.support.requirements import lacking

PYTHON = ROOT / ".venv-training/bin/python"
LABELS = {
    "t-shirt": "T-Shirt",
    "trousers": "Pants",
    "hoodie": "Hoodie",
    "dress": "Dress",
    "shoes": "Shoes",
    "hat": "Hat",
}

# Prints the scores that the trained network, in floating point, gives photographs.
SCORES = """
import json, sys
from pathlib import Path
import keras
from lookbook.model.pillow import configure_pillow
from training import network
from training.batches import arrays
from training.data import Photo
from training.train import clothes_input
configure_pillow()
work, *paths = map(Path, sys.argv[1:])
trained = keras.models.load_model(work / "network.keras", compile=False)
temperature = json.loads((work / "training.json").read_text())["temperature"]
images = arrays([Photo(path, (), "") for path in paths], clothes_input(trained.input_shape[1]))
print(json.dumps(network.calibrated(trained, temperature).predict(images, verbose=0).tolist()))
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run() -> Run:
    if not (PYTHON.parent.parent / "training").exists():
        lacking("no Keras: make .venv-training/training", "TRAINING")

    def start(module: str, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(PYTHON), "-m", f"training.{module}", *map(str, arguments)]
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": SOURCES}
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=check, timeout=240, env=environment
        )

    return start


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs by forty senders, of whom some are in the folds for training and some in those for testing."""
    folder = tmp_path_factory.mktemp("photos")
    with (folder / "index.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "sender_id", "kids"))
        for sender in range(40):
            for name, label in [*LABELS.items(), ("skirt", "Other")]:
                rows.writerow((ROOT / f"tests/data/photos/{name}.jpg", label, sender, "False"))
    return folder


@pytest.fixture(scope="module")
def fashion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty drawings in Fashion-MNIST's format."""
    folder = tmp_path_factory.mktemp("fashion")
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        with gzip.open(folder / f"{part}-images-idx3-ubyte.gz", "wb") as file:
            file.write(bytes(16) + rng.integers(0, 256, (60, 28, 28), np.uint8).tobytes())
        with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(bytes(8) + bytes(range(10)) * 6)
    return folder


@pytest.fixture(scope="module")
def trained(run: Run, photos: Path, fashion: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, as in `training/train`: on drawings alone, then one that the first one teaches, at another size."""
    first, last = (tmp_path_factory.mktemp(name) for name in ("first", "last"))
    common = ("lookbook-clothes", "--fashion", fashion, "--batch", 12)
    run("train", *common, "--work", first, "--steps", 4, "--share", 0, "--side", 32)
    run("export", "lookbook-clothes", "1.0.0", "--work", first, "--fashion", fashion, "--out", first)
    teacher = first / "lookbook-clothes/1.0.0"
    taught = ("--photos", photos, "--without", 1, "--teachers", teacher, teacher, "--frozen", 3)
    run("train", *common, *taught, "--work", last, "--steps", 2, "--side", 64, "--start", first / "network.keras")
    return last


def test_a_small_run_becomes_a_bundle_with_its_figures(
    run: Run, trained: Path, photos: Path, fashion: Path, tmp_path: Path
) -> None:
    sets = ("--fashion", fashion, "--photos", photos)
    golden = ("--golden", ROOT / "tests/data/photos/shirt.jpg")
    run("export", "lookbook-clothes", "9.0.0", "--work", trained, *sets, *golden, "--out", tmp_path)
    folder = tmp_path / "lookbook-clothes/9.0.0"
    bundle = read_bundle(folder)
    classifier = Classifier(bundle)
    paths = sorted(PHOTOS.glob("*.jpg"))
    command = [str(PYTHON), "-c", SCORES, str(trained), *map(str, paths)]
    printed = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": SOURCES}, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    for path, scores in zip(paths, json.loads(printed), strict=True):
        array = preprocess(path.read_bytes(), bundle.input, 10**6)
        assert np.abs(classifier.classify(array) - scores).max() < 0.15, path
    assert (bundle.input.height, bundle.input.width, bundle.input.type) == (64, 64, "uint8")
    assert bundle.manifest["metrics"]["fashion_mnist_test"]["pictures"] == 60
    seen = set(bundle.manifest["senders_seen"])
    apart = bundle.manifest["metrics"]["photos_of_unseen_senders"]["pictures"]
    assert apart == len(LABELS) * (40 - len(seen))
    assert 0 < len(seen) < 40
    assert {"README.md", "answers.jpg", "confusion-photos_of_unseen_senders.png"} <= {
        file.path for file in bundle.files
    }
    measured = run("evaluate", folder, *sets, "--json").stdout
    assert json.loads(measured) == bundle.manifest["metrics"]


def test_an_interrupted_run_continues_from_its_checkpoint(
    run: Run, photos: Path, fashion: Path, tmp_path: Path
) -> None:
    arguments = ("train", "lookbook-clothes", "--fashion", fashion, "--photos", photos, "--work", tmp_path)
    command = [str(PYTHON), "-m", "training.train", *map(str, arguments[1:]), "--steps", "16", "--batch", "12"]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": SOURCES}, stdout=subprocess.PIPE, text=True
    ) as interrupted:
        assert interrupted.stdout
        first = next(line for line in interrupted.stdout if line.startswith("epoch"))
        interrupted.kill()
    assert first.startswith("epoch 1/")
    lines = run(*arguments, "--steps", 16, "--batch", 12).stdout.splitlines()
    assert next(line for line in lines if line.startswith("epoch")).startswith("epoch 2/")
    assert (tmp_path / "network.keras").exists()


def test_a_file_that_cannot_be_read_is_one_line(run: Run, fashion: Path, tmp_path: Path) -> None:
    arguments = ("train", "lookbook-clothes", "--fashion", fashion, "--photos", tmp_path, "--work", tmp_path)
    refused = run(*arguments, check=False)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].endswith(f"{tmp_path}/index.csv: No such file or directory")
