"""`lookbook review` and `lookbook evaluate`, against a real server with a store that the tests fill."""

import csv
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from lookbook.prediction import Prediction, id_maker
from lookbook.store import Entry, Input
from lookbook.store.sqlite import SqliteStore

from tests.support.commands import lookbook
from tests.support.places import BAG
from tests.support.running import Service
from tests.support.truths import judge

COUNT = 30


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(str(tmp_path / "serve.sqlite"), lambda _: None)


@pytest.fixture
def predictions(store: SqliteStore) -> list[Prediction]:
    """Predictions of yesterday, all sampled, with scores from 0.5 to 0.99."""
    noon = datetime.now(UTC).replace(hour=12, minute=0) - timedelta(days=1)
    make = id_maker(clock=lambda: int(noon.timestamp()) * 10**9)
    made = []
    for number in range(COUNT):
        score = 0.5 + number / 60
        top = (("Bag" if number % 3 else "Coat", score), ("Hat", 1 - score))
        made.append(Prediction(make(), "=1+1.png", top, "fashion-mnist-mlp", "2.2.0"))
        store.put(Entry(made[-1], None, 1.0, Input("pixels", BAG.read_bytes()) if number else None))
    return made


@pytest.fixture
def service(serve: Callable[..., Service], predictions: list[Prediction]) -> Service:
    assert len(predictions) == COUNT
    return serve().ready()


def run(service: Service, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return lookbook(*arguments, "--url", service.url)


def to_judge(service: Service, *arguments: object) -> list[dict[str, str]]:
    ended = run(service, "review", "export", *arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    return list(csv.DictReader(ended.stdout.splitlines()))


def write(file: Path, rows: list[dict[str, str]], delimiter: str = ",") -> Path:
    with file.open("w", newline="", encoding="utf-8-sig") as opened:
        writer = csv.DictWriter(opened, rows[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return file


def ground_truths(service: Service) -> dict[str, Any]:
    items = requests.get(f"{service.url}/v1/predictions", timeout=10).json()["items"]
    return {item["id"]: item["ground_truth"] for item in items if item["ground_truth"]}


def test_predictions_are_exported_in_the_order_of_the_service(service: Service) -> None:
    rows = to_judge(service)
    query: dict[str, str | int] = {"limit": 20, "annotator": "test"}
    items = requests.get(f"{service.url}/v1/reviews", params=query, timeout=10).json()["items"]
    assert [row["id"] for row in rows][:20] == [item["id"] for item in items]
    assert len(rows) == COUNT
    assert list(rows[0]) == ["id", "created_at", "image", "label", "verdict"]
    assert rows[0]["image"] == f"{service.url}/v1/predictions/{rows[0]['id']}/image"
    assert {row["label"] for row in rows} == {""}
    assert [row["id"] for row in to_judge(service, "--limit", "4")] == [row["id"] for row in rows[:4]]


def test_images_are_downloaded(service: Service, predictions: list[Prediction], tmp_path: Path) -> None:
    names = {row["id"]: row["image"] for row in to_judge(service, "--images", tmp_path / "images")}
    assert names.pop(str(predictions[0].id)) == ""  # its input is not kept
    assert all(name == f"{id}.png" for id, name in names.items())
    assert {path.name for path in (tmp_path / "images").iterdir()} == set(names.values())
    assert next((tmp_path / "images").iterdir()).read_bytes() == BAG.read_bytes()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_judgments_are_imported_once(service: Service, tmp_path: Path, delimiter: str) -> None:
    rows = to_judge(service, "--limit", "4")
    rows[0]["label"], rows[1]["label"], rows[2]["verdict"] = "Bag", "Umbrella, large", "unclear"
    file = write(tmp_path / "judged.csv", rows, delimiter)
    for _ in range(2):
        ended = run(service, "review", "import", file, "--annotator", "ana")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout == f"{file}: judgments: 3, of which unclear: 1; lines without a judgment: 1\n"
    found = ground_truths(service)
    assert {id: truth["judgments"] for id, truth in found.items()} == {row["id"]: 1 for row in rows[:3]}
    assert [found[row["id"]].get("label") for row in rows[:3]] == ["Bag", "Umbrella, large", None]
    path = f"{service.url}/v1/predictions/{rows[0]['id']}/ground-truths"
    assert [item["annotator"] for item in requests.get(path, timeout=10).json()["items"]] == ["ana"]
    assert [row["id"] for row in to_judge(service, "--limit", "1")] == [rows[3]["id"]]


def test_every_refused_line_is_named_and_nothing_is_added(
    service: Service, predictions: list[Prediction], tmp_path: Path
) -> None:
    ids = [str(prediction.id) for prediction in predictions]
    lines = [
        ("id", "label", "verdict"),
        (ids[0], "Bag", ""),
        ("nonsense", "Bag", ""),
        ("00000000-0000-1000-8000-000000000000", "Bag", ""),
        (ids[1], "x" * 101, ""),
        (ids[2], "Bag", "unclear"),
        (ids[3], "", "unsure"),
        (ids[0], "Hat", ""),
        (ids[4], "", ""),
        ("", "Bag", ""),
        (ids[5], "Bag\x1b[0m", ""),
        (ids[6], "Hat", "", "with a brim"),
    ]
    file = tmp_path / "judged.csv"
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows(lines)
    ended = run(service, "review", "import", file)
    assert (ended.returncode, ended.stdout) == (1, "")
    *refused, last = ended.stderr.splitlines()
    assert [line.partition(", line ")[2].partition(":")[0] for line in refused] == [
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "10",
        "11",
        "12",
    ]
    assert "line 3: 'nonsense' is not the ID of a prediction" in refused[0]
    assert "line 8: line 2 has the same ID" in refused[5]
    assert last == f"lookbook: {file}: nothing was added; correct the lines above (9), and try again"
    assert ground_truths(service) == {}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"id,other\n", "it has no column label"),
        (b"", "it has no column id and no column label"),
        (b"id,label\n\xff\xfe\n", "cannot read it as CSV in UTF-8"),
        (b'id,label\n1,"Dress\n2,Bag\n', "cannot read it as CSV in UTF-8: unexpected end of data"),
    ],
)
def test_a_file_that_is_not_one_of_judgments_is_one_line(
    service: Service, tmp_path: Path, content: bytes, complaint: str
) -> None:
    file = tmp_path / "judged.csv"
    file.write_bytes(content)
    ended = run(service, "review", "import", file)
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (1, "", 1)
    assert complaint in ended.stderr


def test_a_prediction_with_too_many_judgments_is_refused(
    service: Service, store: SqliteStore, predictions: list[Prediction], tmp_path: Path
) -> None:
    for number in range(100):
        judge(store, predictions[0], "Bag", annotator=str(number))
    rows = [{"id": str(prediction.id), "label": "Hat"} for prediction in predictions[:2]]
    ended = run(service, "review", "import", write(tmp_path / "judged.csv", rows))
    assert ended.returncode == 1
    assert "line 2: the prediction has 100 judgments, the maximum" in ended.stderr
    assert str(predictions[1].id) not in ground_truths(service)


def test_before_five_judgments_no_accuracy_is_shown(service: Service) -> None:
    ended = run(service, "evaluate")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "accuracy     not known yet: judge at least five predictions" in ended.stdout
    assert "% according to the model's scores alone" in ended.stdout
    assert "predictions  30 (estimated; sampled: 30)" in ended.stdout


def test_the_accuracy_is_shown_with_its_interval(
    service: Service, predictions: list[Prediction], tmp_path: Path
) -> None:
    labels = {str(prediction.id): prediction.label for prediction in predictions}
    rows = to_judge(service)
    for number, row in enumerate(rows):
        row["label"] = labels[row["id"]] if number % 10 else "Hat"
    assert run(service, "review", "import", write(tmp_path / "judged.csv", rows)).returncode == 0
    found = json.loads(run(service, "evaluate", "--json").stdout)
    assert found["accuracy"]["estimate"] == pytest.approx(0.9)
    printed = run(service, "evaluate").stdout
    low, high = found["accuracy"]["confidence_interval"]
    assert f"accuracy     90.0% ({low:.1%} to {high:.1%})" in printed
    assert "judged       30, of which unclear: 0" in printed
    table = printed.partition("\n\n")[2].splitlines()
    assert table[0].split() == ["label", "precision", "judged", "recall", "judged"]
    assert [line.split()[0] for line in table[1:]] == ["Bag", "Coat", "Hat"]
    before = run(service, "evaluate", "--as-of", "2026-01-31T00:00Z").stdout
    assert "judged       0, of which unclear: 0" in before


def test_versions_can_be_pooled(service: Service, store: SqliteStore, predictions: list[Prediction]) -> None:
    other = replace(predictions[0], id=id_maker()(), model_version="9.9.9")
    store.put(Entry(other, None, 1.0))
    ended = run(service, "evaluate", "--model-version", "2.2.0", "--model-version", "9.9.9")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "model        fashion-mnist-mlp/2.2.0, fashion-mnist-mlp/9.9.9\n" in ended.stdout
    assert "predictions  31 (estimated; sampled: 31)" in ended.stdout


def test_a_version_without_predictions_is_an_error(service: Service) -> None:
    ended = run(service, "evaluate", "--model-version", "nope", "--json")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the server has no sampled predictions of fashion-mnist-mlp/nope from" in ended.stderr
    assert ended.stderr.endswith("; it has those of fashion-mnist-mlp/2.2.0\n")
    ended = run(service, "evaluate", "--model-version", "2.2.0", "--until", "2020-01-31")
    assert ended.stderr.endswith(" to 2020-01-31; check --since and --until\n")


def test_a_day_is_required() -> None:
    ended = lookbook("evaluate", "--since", "yesterday")
    assert ended.returncode == 2
    assert "'yesterday' is not a day such as 2026-01-31" in ended.stderr
