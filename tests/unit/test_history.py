import csv
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from lookbook.prediction import Prediction, id_maker
from lookbook.store import Entry
from lookbook.store.sqlite import SqliteStore

from tests.support.commands import json_lines, lookbook
from tests.support.places import BAG, MLP
from tests.support.running import Service


def history(service: Service | None, *arguments: str, **environment: Any) -> "subprocess.CompletedProcess[str]":
    where = ["--url", service.url] if service else []
    return lookbook("history", *where, *arguments, **environment)


def ids(ended: "subprocess.CompletedProcess[str]") -> list[str]:
    return [prediction["id"] for prediction in json_lines(ended.stdout)]


@pytest.fixture
def service(serve: Callable[..., Service]) -> Service:
    return serve().ready()


def test_predictions_are_a_table_newest_first(service: Service) -> None:
    stored = [service.send(BAG.read_bytes()).json()["id"] for _ in range(3)]
    head, *rows = history(service).stdout.splitlines()
    assert head.split() == ["created", "at", "label", "score", "id", "file", "name"]
    assert [row.split()[4] for row in rows] == stored[::-1]
    assert rows[0].split()[2] == "Bag"


def test_every_page_is_read(service: Service, tmp_path: Path) -> None:
    store, make_id = SqliteStore(str(tmp_path / "serve.sqlite"), lambda _: None), id_maker()
    stored = [Prediction(make_id(), "", (("Bag", 0.9), ("Coat", 0.1)), "m", "1.0.0") for _ in range(1050)]
    for prediction in stored:
        store.put(Entry(prediction))
    store.close()
    newest_first = [str(prediction.id) for prediction in reversed(stored)]
    assert ids(history(service, "--json")) == newest_first[:100]
    assert ids(history(service, "--json", "--limit", "1010")) == newest_first[:1010]
    assert ids(history(service, "--json", "--all")) == newest_first


def test_predictions_are_filtered_by_label_and_time(service: Service) -> None:
    bag = service.send(BAG.read_bytes()).json()
    time.sleep(0.01)
    middle = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    other = service.send((MLP / "golden/fashion-1.png").read_bytes()).json()
    assert ids(history(service, "--json", "--label", "Bag")) == [bag["id"]]
    assert ids(history(service, "--json", "--since", middle)) == [other["id"]]
    assert ids(history(service, "--json", "--until", middle)) == [bag["id"]]
    # A script's variable may be empty.
    assert ids(history(service, "--json", "--since", "")) == [other["id"], bag["id"]]


def test_a_url_with_a_path_is_one_line(service: Service) -> None:
    ended = history(None, "--url", f"{service.url}/v1")
    assert (ended.returncode, ended.stderr) == (
        1,
        f"lookbook: {service.url}/v1 is not a Lookbook server: /v1/model was not found\n",
    )


def test_csv_has_a_column_for_each_value(service: Service) -> None:
    prediction = service.send(BAG.read_bytes()).json()
    (row,) = csv.DictReader(history(service, "--csv").stdout.splitlines())
    assert (row["id"], row["created_at"], row["label"]) == (prediction["id"], prediction["created_at"], "Bag")
    assert (row["model"], row["version"]) == ("fashion-mnist-mlp", "2.2.0")


def test_a_time_without_a_zone_is_local(service: Service) -> None:
    prediction = service.send(BAG.read_bytes()).json()
    utc = datetime.fromisoformat(prediction["created_at"]).strftime("%Y-%m-%dT%H:%M")
    assert ids(history(service, "--json", "--since", utc)) == [prediction["id"]]
    assert ids(history(service, "--json", "--since", utc, TZ="Etc/GMT+5")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--since", "yesterday"], 2, "'yesterday' is not a time"),
        (["--limit", "0"], 2, "0 is not in the range"),
        (["--all", "--limit", "2"], 2, "--all and --limit cannot be used together"),
        (
            ["--url", "http://127.0.0.1:1"],
            1,
            "cannot reach http://127.0.0.1:1: [Errno 111] Connection refused; check --url",
        ),
    ],
)
def test_an_error_is_reported(arguments: list[str], code: int, complaint: str) -> None:
    ended = history(None, *arguments)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert complaint in ended.stderr


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "UTC"])
def test_a_printed_time_finds_its_prediction(service: Service, zone: str) -> None:
    stored = service.send(BAG.read_bytes()).json()["id"]
    row = history(service, TZ=zone).stdout.splitlines()[1]
    printed = row[:25]
    assert datetime.fromisoformat(printed).utcoffset() is not None
    assert abs(datetime.fromisoformat(printed) - datetime.now(UTC)).total_seconds() < 60
    assert ids(history(service, "--json", "--since", printed, TZ=zone)) == [stored]
    assert ids(history(service, "--json", "--until", printed, TZ=zone)) == []


@pytest.mark.parametrize(
    "name", ["=1+1.jpg", "+1.jpg", "-1.jpg", "@SUM(A1).jpg", "\t=1.jpg", "\N{FULLWIDTH EQUALS SIGN}1.jpg"]
)
def test_no_cell_of_csv_is_a_formula(service: Service, name: str) -> None:
    files = {"image": (name, BAG.read_bytes())}
    requests.post(f"{service.url}/v1/predictions", files=files, timeout=10)
    (row,) = csv.DictReader(history(service, "--csv").stdout.splitlines())
    (prediction,) = json_lines(history(service, "--json").stdout)
    assert row["file_name"] == f"'{prediction['file_name']}"
    assert prediction["file_name"].strip() == name.strip()


def test_two_forms_exclude_each_other() -> None:
    ended = lookbook("history", "--csv", "--json")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--json and --csv cannot be used together" in ended.stderr
