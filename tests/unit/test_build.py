"""`lookbook model build`, with the Keras and TensorFlow of .venv-training."""

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from lookbook.build.labeled import true_labels
from lookbook.build.source import told_apart
from lookbook.model.bundle import Bundle, BundleError, read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.preprocessing import preprocess, read_image

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

TO_255, TO_1 = ["--input", "0..255"], ["--input", "0..1"]
LABELED = ["--images", "labeled"]

# The file and the options of each bundle.
BUILT = {
    "softmax": ["softmax.keras", *TO_1],
    "flat": ["flat.keras"],
    "half": ["half.keras", "--resize", "crop"],
    "dividing": ["dividing.keras", "--input", "-1..1"],
    "whole": ["whole.keras"],
    "trained": ["trained.keras"],
    "tutorial": ["tutorial.keras"],
    "caffe": ["caffe.keras"],
    "fractions": ["fractions.keras", *TO_1],
    "legacy": ["legacy.h5"],
    "keras-2": [str(ROOT / "tests/data/keras-2/transfer.h5"), "--labels", "two.txt"],
    "measured": ["bytes.keras", *LABELED],
    "listed": ["bytes.keras", "--images", "listed"],
    "confirmed": ["tutorial.keras", *LABELED, *TO_255],
    "one-sigmoid": ["one-sigmoid.keras", "--labels", "two.txt", *LABELED],
    "one-logit": ["one-logit.keras", "--labels", "two.txt"],
    "twice": ["trained.keras", "--labels", "twice.txt"],
}
REFUSED = {
    "uncertain": (
        ["bytes.keras"],
        "cannot tell which pixel range the model expects: use --input 0..255 or --input 0..1 or",
    ),
    "undecided": (["fractions.keras", *LABELED], "--input -1..1, as in training\n"),
    "wrong": (["bytes.keras", *LABELED, *TO_1], " with 0..255: use --input 0..255, or check the labels of the images"),
    "sigmoid": (
        ["sigmoid.keras", *TO_255],
        "are between 0 and 1 but do not sum to 1, as if several labels could be right",
    ),
    "one-tanh": (["one-tanh.keras", "--labels", "two.txt"], "the model's one output is neither a sigmoid nor a logit"),
    "one-of-three": (
        ["one-sigmoid.keras"],
        "the model returns one score, which is for 2 labels, but there are 3 labels",
    ),
    "lambda": (["lambda.keras"], "it has a Lambda layer, whose Python code is not run"),
    "unknown": (["unknown.h5"], "it needs Own, which is not part of Keras: custom Python code is not run"),
    "operations": (["operations.h5"], "it has TensorFlow operations of Keras 2, which Keras 3 cannot load"),
    "unsafe": (["unsafe.h5"], "it has a Lambda layer, whose Python code is not run"),
    "function": (["function.keras"], "it needs twice, which is not part of Keras"),
    "own": (["own.keras"], "it needs Own, which is not part of Keras"),
    "operator": (["operator.keras", *TO_1], "LiteRT has no Erfinv"),
    "two-inputs": (["two-inputs.keras"], "the model has 2 inputs; it must have one"),
    "two-outputs": (["two-outputs.keras"], "the model has 2 outputs; it must have one"),
    "vector": (["vector.keras"], "the model's input (10,) is not an image"),
    "any-size": (["any-size.keras"], "the model's input (None, None, 3) is not an image of a fixed size"),
    "map": (["map.keras"], "the model's output (32, 32, 3) is not one score per label: its shape must be"),
    "labels": (["softmax.keras", "--labels", "four.txt"], "the model returns 3 scores, but there are 4 labels"),
    "torn": (["torn.keras"], "cannot be read: "),
    "text": (["text.keras"], "not a .keras or .h5 file"),
    "weights": (["only.weights.h5"], "it has weights but no model"),
    "old": (
        ["old.keras"],
        "it was saved by Keras 2: with tf_keras (tf.keras before TensorFlow 2.16), run model = tf_keras",
    ),
    "exported": (["exported"], "model = tf_keras.models.load_model('exported') and model.save('my_model.h5')"),
    "none": (["none.keras"], "no such file"),
}
# Bundles of models that were trained on LABELS, or on the first two of them.
TRAINED = (
    "trained", "tutorial", "caffe", "fractions", "legacy",
    "measured", "listed", "confirmed", "one-sigmoid", "one-logit",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models, labels, image.png (a square), and the images of shapes in labeled/ and listed/."""
    if not PYTHON.exists():
        lacking("no Keras: make .venv-training/training", "TRAINING")
    folder = tmp_path_factory.mktemp("build")
    subprocess.run(
        [PYTHON, "-m", "tests.support.keras_models", folder], cwd=ROOT, check=True, capture_output=True, timeout=300
    )
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    (folder / "two.txt").write_text("Circle\nSquare\n")
    (folder / "four.txt").write_text("a\nb\nc\nd\n")
    (folder / "twice.txt").write_text("crane\ndog\ncrane\n")
    (folder / "text.keras").write_text("no model")
    with zipfile.ZipFile(folder / "old.keras", "w") as file:
        file.writestr("metadata.json", '{"keras_version": "2.15.0"}')
    content = (folder / "softmax.keras").read_bytes()
    (folder / "torn.keras").write_bytes(content.replace(b"Dense", b"Denne"))
    rng = np.random.default_rng(7)
    drawn("square", 300, rng).save(folder / "image.png")
    rows = ["path,label"]
    (folder / "listed").mkdir()
    for label in LABELS:
        (folder / "labeled" / label).mkdir(parents=True)
        for number in range(20):
            image = drawn(label, 64, rng)
            image.save(folder / f"labeled/{label}/{number}.png")
            image.save(folder / f"listed/{label[0]}{number}.png")
            rows.append(f"{label[0]}{number}.png,{label}")
    (folder / "listed/index.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, tuple[int, str, str]]:
    """Exit code, standard output, and standard error of a build of each model."""
    cases = {**BUILT, **{name: arguments for name, (arguments, _) in REFUSED.items()}}
    common = ["model", "build", "--version", "1.0.0", "--images", str(PHOTOS), "--labels", "labels.txt"]
    arguments = [[*common, "--name", name, *given] for name, given in cases.items()]
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


def bundle(folder: Path, name: str) -> Bundle:
    return read_bundle(folder / f"models/{name}/1.0.0")


@pytest.mark.parametrize(
    ("name", "size", "color", "resize", "scale", "said"),
    [
        ("trained", (32, 32), "rgb", "stretch", (0, 1 / 255), "0..255 (because of Rescaling)"),
        ("softmax", (28, 28), "grayscale", "stretch", (0, 1), "0..1 (given by --input)"),
        ("flat", (28, 28), "grayscale", "stretch", (0, 1), "0..1 (because of Rescaling)"),
        ("half", (32, 32), "rgb", "crop", (0, 1 / 255), "0..255 (because of Rescaling)"),
        (
            "dividing",
            (32, 32),
            "rgb",
            "stretch",
            (0.5, 0.5),
            "-1..1 (given by --input, although TrueDivide looks like 0..255)",
        ),
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
    # Checks what a server checks at startup: digests, shapes, and the five golden images.
    classifier = Classifier(bundle(folder, name))
    assert len(classifier.bundle.golden) == 5
    scores = classifier.classify(preprocess((PHOTOS / "hat.jpg").read_bytes(), spec, 25_000_000))
    assert scores.sum() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", TRAINED)
def test_a_bundle_knows_what_its_model_has_learned(
    outcomes: dict[str, tuple[int, str, str]], folder: Path, name: str
) -> None:
    code, out, complaint = outcomes[name]
    assert (code, complaint) == (0, "")
    built = bundle(folder, name)
    classifier = Classifier(built)
    right = [
        built.labels[classifier.classify(preprocess(path.read_bytes(), built.input, 25_000_000)).argmax()].lower()
        == label
        for label in LABELS[: len(built.labels)]
        for path in sorted((folder / "labeled" / label).glob("*.png"))
    ]
    assert np.mean(right) >= 0.8, out


def test_images_with_known_labels_decide_the_range(outcomes: dict[str, tuple[int, str, str]]) -> None:
    for name in ("measured", "listed"):
        lines = outcomes[name][1].splitlines()
        percent = {line.split(": ")[0]: int(line.split(": ")[1].split("%")[0]) for line in lines[:3]}
        assert list(percent) == ["0..255", "0..1", "-1..1"]
        assert percent["0..255"] >= 80 > 60 > max(percent["0..1"], percent["-1..1"])
        assert f"pixel range 0..255 (measured: {percent['0..255']}% of 60 images right)" in lines[3]
    assert "0..255 (given by --input)" in outcomes["confirmed"][1]


def test_one_sigmoid_makes_two_labels(outcomes: dict[str, tuple[int, str, str]], folder: Path) -> None:
    assert "output: 2 labels, one sigmoid; it scores the second label" in outcomes["one-sigmoid"][1]
    assert "output: 2 labels, one logit; a sigmoid was added" in outcomes["one-logit"][1]
    assert re.match(r"0\.\.255: \d+% of 40 images right\n", outcomes["one-sigmoid"][1])
    for name in ("one-sigmoid", "one-logit"):
        assert bundle(folder, name).labels == ("Circle", "Square")


def test_a_file_of_keras_2_gives_the_scores_that_it_gave_there(
    outcomes: dict[str, tuple[int, str, str]], folder: Path
) -> None:
    assert "pixel range 0..255 (because of Rescaling)" in outcomes["keras-2"][1]
    built = bundle(folder, "keras-2")
    color = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    array, _ = read_image(color, built.input, 1024)
    # As Keras 2 in single precision, see tests/data/keras-2/README.md.
    assert Classifier(built).classify(array)[1] == pytest.approx(0.4889, abs=0.001)


def test_labels_that_repeat_get_a_number(outcomes: dict[str, tuple[int, str, str]], folder: Path) -> None:
    assert outcomes["twice"][1].startswith("label 3 is now crane (2), because an earlier label is crane, too\n")
    assert bundle(folder, "twice").labels == ("crane", "dog", "crane (2)")
    assert told_apart(["a", "a", "a (2)", "a"]) == ["a", "a (3)", "a (2)", "a (4)"]


@pytest.mark.usefixtures("folder")
def test_the_pixel_range_is_traced_through_layers_and_operations() -> None:
    ended = subprocess.run(
        [PYTHON, "-m", "tests.support.keras_models"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES, "KERAS_BACKEND": "tensorflow"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert len(found) > 50
    assert {case: pixels for case, pixels in found.items() if case.split(",")[0] != pixels} == {}


@pytest.mark.parametrize(
    ("index", "truth"),
    [
        ("", {"a/x.png": 0, "Big_cat/y.png": 1}),
        ("path,label\na/x.png,big cat\nz.png,none\n", {"a/x.png": 1, "Big_cat/y.png": 1}),
        ("\ufeffImage,Sender,Label\nz,1,a\n", {"a/x.png": 0, "Big_cat/y.png": 1, "z.png": 0}),
    ],
    ids=["folders", "index", "index without suffix"],
)
def test_labels_come_from_folders_or_an_index(tmp_path: Path, index: str, truth: dict[str, int]) -> None:
    if index:
        (tmp_path / "index.csv").write_text(index)
    paths = [f"{tmp_path}/{name}" for name in ("a/x.png", "Big_cat/y.png", "z.png")]
    found = true_labels(tmp_path, paths, ["a", "big cat"])
    assert found == {f"{tmp_path}/{name}": number for name, number in truth.items()}


def test_an_index_without_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("name,size\nx.png,3\n")
    with pytest.raises(BundleError, match=r"index\.csv: must have the columns path and label"):
        true_labels(tmp_path, [], ["a", "b"])


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_be_converted_is_refused_in_one_line(
    outcomes: dict[str, tuple[int, str, str]], folder: Path, name: str
) -> None:
    code, _, complaint = outcomes[name]
    assert (code, complaint.count("\n")) == (1, 1)
    assert REFUSED[name][1] in complaint
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
        (
            "a\nb\n",
            "1.0.0",
            1,
            "this command needs keras and tensorflow: in a checkout of Lookbook, run "
            f'{sys.executable} -m pip install ".[training]"\n',
        ),
        ("a\n\n", "1.0.0", 1, "lookbook: labels.txt: must have two or more labels, one per line\n"),
        (None, "1.0.0", 1, "lookbook: labels.txt: No such file or directory\n"),
        ("a\nb\n", "1.0", 2, "Error: version '1.0' is not a semantic version, such as 1.0.0\n"),
    ],
    ids=["no keras", "one label", "no labels", "version"],
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
    assert (ended.returncode, ended.stderr) == (1, f"lookbook: no JPEG, PNG, or WebP images in {tmp_path}\n")
    assert "--pictures" not in lookbook("model", "build", "--help").stdout
