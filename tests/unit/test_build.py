"""`lookbook model build`, with the Keras and TensorFlow of .venv-training."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from lookbook.model.bundle import Bundle, read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.preprocessing import preprocess

from tests.support.commands import SOURCES, lookbook
from tests.support.pages import DOCS, block, follow
from tests.support.places import PHOTOS, ROOT
from tests.support.requirements import lacking
from tests.support.running import Service
from tests.support.shapes import LABELS, drawn

PYTHON = ROOT / ".venv-training/bin/python"

# Runs commands one after another, because importing TensorFlow takes seconds; prints exit code and output of each.
MANY = """
import json, sys
from click.testing import CliRunner
from lookbook.cli.main import main
for arguments in json.load(sys.stdin):
    ended = CliRunner().invoke(main, arguments)
    print(json.dumps([ended.exit_code, ended.stdout, ended.stderr]))
"""

BUILT = {
    "softmax": [],
    "flat": [],
    "half": ["--resize", "crop"],
    "dividing": ["--input", "-1..1"],
    "whole": [],
    "trained": [],
}
REFUSED = {
    "sigmoid": "are between 0 and 1 but do not sum to 1",
    "lambda": "it has a Lambda layer, whose Python code is not run",
    "function": "it needs twice, which is not part of Keras",
    "own": "it needs Own, which is not part of Keras",
    "operator": "LiteRT has no Erfinv",
    "two-inputs": "the model has 2 inputs; it must have one",
    "two-outputs": "the model has 2 outputs; it must have one",
    "vector": "the model's input (10,) is not an image",
    "any-size": "the model's input (None, None, 3) is not an image of a fixed size",
    "map": "the model's output (32, 32, 3) is not one score per label",
    "labels": "the model returns 3 scores, but there are 4 labels",
    "torn": "cannot be read: ",
    "text": "not a .keras file",
    "none": "no such file",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models, labels.txt and image.png, a square."""
    if not PYTHON.exists():
        lacking("no Keras: make .venv-training/training", "TRAINING")
    folder = tmp_path_factory.mktemp("build")
    subprocess.run(
        [PYTHON, "-m", "tests.support.keras_models", folder], cwd=ROOT, check=True, capture_output=True, timeout=300
    )
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    (folder / "four.txt").write_text("a\nb\nc\nd\n")
    (folder / "text.keras").write_text("no model")
    content = (folder / "softmax.keras").read_bytes()
    (folder / "torn.keras").write_bytes(content.replace(b"Dense", b"Denne"))
    (folder / "labels.keras").write_bytes(content)
    drawn("square", 300, np.random.default_rng(7)).save(folder / "image.png")
    return folder


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, tuple[int, str, str]]:
    """Exit code, standard output and standard error of a build of each model."""
    cases: dict[str, list[str]] = {**BUILT, **{name: [] for name in REFUSED}}
    common = ["--version", "1.0.0", "--images", str(PHOTOS), "--labels"]
    arguments = [
        ["model", "build", f"{name}.keras", "--name", name, *options, *common, f"{_labels(name)}.txt"]
        for name, options in cases.items()
    ]
    ended = subprocess.run(
        [PYTHON, "-c", MANY],
        input=json.dumps(arguments),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES},
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    return dict(zip(cases, map(json.loads, ended.stdout.splitlines()), strict=True))


def _labels(name: str) -> str:
    return "four" if name == "labels" else "labels"


def bundle(folder: Path, name: str) -> Bundle:
    return read_bundle(folder / f"models/{name}/1.0.0")


@pytest.mark.parametrize(
    ("name", "size", "color", "resize", "scale", "said"),
    [
        ("trained", (32, 32), "rgb", "stretch", (0, 1 / 255), "0..255 (because the first layer is Rescaling)"),
        ("softmax", (28, 28), "grayscale", "stretch", (0, 1), "0..1 (assumed, because the first layer does not scale"),
        ("flat", (28, 28), "grayscale", "stretch", (0, 1), "0..1 (because the first layer is Rescaling)"),
        ("half", (32, 32), "rgb", "crop", (0, 1 / 255), "0..255 (because the first layer is Rescaling)"),
        ("dividing", (32, 32), "rgb", "stretch", (0.5, 0.5), "-1..1 (given by --input)"),
        ("whole", (32, 32), "rgb", "stretch", (0, 1 / 255), "0..255 (the input is integers)"),
    ],
)
def test_each_kind_of_model_becomes_a_bundle(
    outcomes: dict[str, tuple[int, str, str]],
    folder: Path,
    name: str,
    size: tuple[int, int],
    color: str,
    resize: str,
    scale: tuple[float, float],
    said: str,
) -> None:
    code, out, complaint = outcomes[name]
    assert (code, complaint) == (0, "")
    assert said in out
    assert ("softmax scores" if name == "softmax" else "logits; a softmax was added") in out
    assert "same label for 12 of 12 images" in out
    spec = bundle(folder, name).input
    assert ((spec.height, spec.width), spec.color, spec.resize) == (size, color, resize)
    assert (spec.mean[0], spec.std[0]) == scale
    # As whenever a server starts: digests, shapes and the five golden images.
    classifier = Classifier(bundle(folder, name))
    assert len(classifier.bundle.golden) == 5
    scores = classifier.classify(preprocess((PHOTOS / "hat.jpg").read_bytes(), spec, 25_000_000))
    assert scores.sum() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_be_converted_is_refused_in_one_line(
    outcomes: dict[str, tuple[int, str, str]], folder: Path, name: str
) -> None:
    code, _, complaint = outcomes[name]
    assert (code, complaint.count("\n")) == (1, 1)
    assert REFUSED[name] in complaint
    assert not list((folder / "models").glob(f"{name}/*"))


def test_the_tutorial_leads_from_a_saved_model_to_a_prediction(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "bin").mkdir()
    (folder / "bin/lookbook").write_text(f'#!/bin/sh\nexec {shlex.quote(str(PYTHON))} -m lookbook "$@"\n')
    (folder / "bin/lookbook").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", SOURCES)
    (folder / "trained.keras").rename(folder / "my_model.keras")
    page = DOCS / "tutorials/own-model.md"
    build, classify, serve = (block(page, f"sh {name}").strip() for name in ("build", "try", "serve"))

    def run(command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=300)

    built = run(build)
    assert (built.returncode, built.stderr) == (0, "")
    assert re.search(r"image\.png +square +\d", run(classify).stdout)
    again = run(build)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "already exists and a bundle never changes" in again.stderr
    service = Service({}, folder / "log", command=("sh", "-c", f"exec env {serve}"), cwd=folder)
    try:
        here = {"http://127.0.0.1:8080": service.ready().url}
        assert follow(page, "ask", folder=folder, replaced=here).endswith("square")
    finally:
        service.stop()


@pytest.mark.parametrize(
    ("labels", "version", "code", "complaint"),
    [
        ("a\nb\n", "1.0.0", 1, 'lookbook: this command needs keras and tensorflow: pip install "lookbook[training]"\n'),
        ("a\nb\na\n", "1.0.0", 1, "lookbook: labels.txt: must have two or more different labels, one per line\n"),
        (None, "1.0.0", 1, "lookbook: labels.txt: No such file or directory\n"),
        ("a\nb\n", "1.0", 2, "Error: version '1.0' is not a semantic version, such as 1.0.0\n"),
    ],
    ids=["no keras", "twice", "no labels", "version"],
)
def test_wrong_options_are_reported_before_keras_is_loaded(
    tmp_path: Path, labels: str | None, version: str, code: int, complaint: str
) -> None:
    if labels is not None:
        (tmp_path / "labels.txt").write_text(labels)
    options = ["--labels", "labels.txt", "--name", "mine", "--version", version]
    # The Python of the tests has no Keras.
    ended = lookbook("model", "build", "my_model.keras", *options, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr.endswith(complaint)


@pytest.mark.parametrize("option", ["--images", "--pictures"])
def test_images_may_be_given_by_the_old_name_of_the_option(tmp_path: Path, option: str) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\n")
    options = ["--labels", "labels.txt", "--name", "mine", "--version", "1.0.0", option, tmp_path]
    ended = lookbook("model", "build", "my_model.keras", *options, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (1, f"lookbook: no images in {tmp_path}\n")
    assert "--pictures" not in lookbook("model", "build", "--help").stdout
