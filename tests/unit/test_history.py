import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lookbook.prediction import Prediction, id_maker
from lookbook.store.sqlite import SqliteStore

from tests.support.places import BAG, MLP, ROOT
from tests.support.running import Service


def history(service: Service | None, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    where = ["--url", service.url] if service else []
    return subprocess.run(
        [sys.executable, "-m", "lookbook", "history", *where, *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def ids(ended: "subprocess.CompletedProcess[str]") -> list[str]:
    return [json.loads(line)["id"] for line in ended.stdout.splitlines()]


@pytest.fixture
def service(serve: Callable[..., Service]) -> Service:
    return serve().ready()


def test_answers_are_a_table_newest_first(service: Service) -> None:
    stored = [service.send(BAG.read_bytes()).json()["id"] for _ in range(3)]
    head, *rows = history(service).stdout.splitlines()
    assert head.split() == ["created", "at", "label", "score", "id", "file", "name"]
    assert [row.split()[4] for row in rows] == stored[::-1]
    assert rows[0].split()[2] == "Bag"


def test_every_page_is_read(service: Service, tmp_path: Path) -> None:
    store, make_id = SqliteStore(str(tmp_path / "serve.sqlite"), lambda _: None), id_maker()
    stored = [Prediction(make_id(), "", (("Bag", 0.9), ("Coat", 0.1)), "m", "1.0.0") for _ in range(1050)]
    for prediction in stored:
        store.put(prediction, None)
    store.close()
    newest_first = [str(prediction.id) for prediction in reversed(stored)]
    assert ids(history(service, "--json")) == newest_first[:100]
    assert ids(history(service, "--json", "--limit", "1010")) == newest_first[:1010]
    assert ids(history(service, "--json", "--all")) == newest_first


def test_filters_are_the_server_s(service: Service) -> None:
    bag = service.send(BAG.read_bytes()).json()
    time.sleep(0.01)
    middle = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    other = service.send((MLP / "golden/fashion-1.png").read_bytes()).json()
    assert ids(history(service, "--json", "--label", "Bag")) == [bag["id"]]
    assert ids(history(service, "--json", "--since", middle)) == [other["id"]]
    assert ids(history(service, "--json", "--until", middle)) == [bag["id"]]
    # As a script's empty variable gives it.
    assert ids(history(service, "--json", "--since", "")) == [other["id"], bag["id"]]


def test_an_address_below_the_servers_is_said(service: Service) -> None:
    ended = history(None, "--url", f"{service.url}/v1")
    assert (ended.returncode, ended.stderr) == (
        1,
        f"lookbook: {service.url}/v1 is no Lookbook server: /v1/model is not there\n",
    )


def test_csv_has_what_a_spreadsheet_wants(service: Service) -> None:
    record = service.send(BAG.read_bytes()).json()
    (row,) = csv.DictReader(history(service, "--csv").stdout.splitlines())
    assert (row["id"], row["created_at"], row["label"]) == (record["id"], record["created_at"], "Bag")
    assert (row["model"], row["version"]) == ("fashion-mnist-mlp", "2.2.0")


def test_a_time_without_a_zone_is_local(service: Service) -> None:
    record = service.send(BAG.read_bytes()).json()
    utc = datetime.fromisoformat(record["created_at"]).strftime("%Y-%m-%dT%H:%M")
    assert ids(history(service, "--json", "--since", utc)) == [record["id"]]
    assert ids(history(service, "--json", "--since", utc, TZ="Etc/GMT+5")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--since", "yesterday"], 2, "'yesterday' is no time"),
        (["--limit", "0"], 2, "0 is not in the range"),
        (["--all", "--limit", "2"], 2, "--all and --limit exclude each other"),
        (["--url", "http://127.0.0.1:1"], 1, "can't be reached: [Errno 111] Connection refused"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], code: int, complaint: str) -> None:
    ended = history(None, *arguments)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert complaint in ended.stderr
