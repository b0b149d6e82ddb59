"""`lookbook serve` as a process: what stops its start, what it logs, how it ends."""

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from lookbook.server.cpus import available_cpus

from tests.support.places import BAG, MLP
from tests.support.running import Service, until


def start_error(service: Service) -> str:
    """The line that says why the server does not start."""
    assert service.process.wait(30) != 0
    (line,) = [line for line in service.log.read_text().splitlines() if line.startswith("lookbook: /")]
    return line


def test_a_flipped_bit_in_the_model_stops_the_start(serve: Callable[..., Service], tmp_path: Path) -> None:
    shutil.copytree(MLP, tmp_path / "b")
    model = tmp_path / "b/model.tflite"
    content = bytearray(model.read_bytes())
    content[-1000] ^= 1
    model.write_bytes(content)
    assert start_error(serve(model=tmp_path / "b")).endswith(
        "model.tflite: its SHA-256 differs from the manifest's; "
        "the file is damaged or was changed: copy the bundle again"
    )


def test_a_missing_file_stops_the_start(serve: Callable[..., Service], tmp_path: Path) -> None:
    shutil.copytree(MLP, tmp_path / "b")
    (tmp_path / "b/golden/fashion-5.png").unlink()
    assert start_error(serve(model=tmp_path / "b")).endswith("fashion-5.png: No such file or directory")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: m["input"].update(size=[32, 32]), "its input is"),
        (lambda m: m["golden"][0]["scores"].reverse(), "the model's score for this golden image differs by"),
        (lambda m: m.pop("labels"), "malformed manifest: 'labels' is missing"),
    ],
    ids=["shape", "golden", "labels"],
)
def test_a_wrong_manifest_stops_the_start(
    serve: Callable[..., Service],
    altered: Callable[..., Path],
    change: Callable[[dict[str, Any]], None],
    complaint: str,
) -> None:
    assert complaint in start_error(serve(model=altered(change)))


def test_a_store_that_cannot_be_opened_stops_the_start(serve: Callable[..., Service]) -> None:
    assert "unable to open database file" in start_error(serve(sqlite_path="/nowhere/store.sqlite"))


def test_many_workers_that_cannot_start_say_why_once(serve: Callable[..., Service]) -> None:
    service = serve(sqlite_path="/nowhere/store.sqlite", workers=8)
    assert "unable to open database file" in start_error(service)
    assert service.process.returncode == 4
    assert "HaltServer" not in service.log.read_text()


def test_the_metrics_folder_of_a_killed_server_is_removed(
    serve: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    running, killed = serve().ready(), serve().ready()
    kept, left = (list(tmp_path.glob(f"lookbook-metrics-{service.process.pid}-*")) for service in (running, killed))
    killed.process.kill()
    killed.process.wait()
    serve().ready()
    assert [folder.exists() for folder in kept + left] == [True, False]


def test_there_are_as_many_workers_as_cpus(serve: Callable[..., Service]) -> None:
    service = serve(workers=0).ready()
    until(lambda: len(service.workers()) == available_cpus())


def test_it_warns_if_there_are_no_tokens(serve: Callable[..., Service], tmp_path: Path) -> None:
    assert "anyone who can reach" in serve().ready().log.read_text()
    tokens = tmp_path / "tokens"
    tokens.write_text("secret")
    assert "anyone who can reach" not in serve(tokens_file=tokens).ready().log.read_text()
    tokens.write_text("\n")
    log = serve(tokens_file=tokens).ready().log.read_text()
    assert "has no tokens; every request will be refused: write one per line" in log


def test_it_says_what_is_kept_of_images(serve: Callable[..., Service]) -> None:
    log = serve().ready().log.read_text()
    assert "The pixels that the model sees of a random sample of the images are kept for up to 28 days" in log
    log = serve(keep="original", keep_for="all", keep_days=7).ready().log.read_text()
    assert "The uploaded files of all images are kept for up to 7 days; LOOKBOOK_KEEP=none turns this off" in log
    assert "Images are not kept" in serve(keep="none").ready().log.read_text()


def test_log_lines_are_json_with_a_request_id(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    service.send(BAG.read_bytes(), **{"X-Request-Id": "my-request"})
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line.get("request_id") == "my-request"]
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/predictions", 201)
    assert line["level"] == "INFO"


def test_it_stops_promptly(serve: Callable[..., Service]) -> None:
    service = serve(workers=2).ready()
    requests.get(f"{service.url}/livez", timeout=5)
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < 5


def test_it_imports_nothing_that_only_other_commands_need(
    serve: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Makes Python log every module that it imports, in master and worker.
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    service = serve().ready()
    assert service.send(BAG.read_bytes()).status_code == 201
    imported = set(re.findall(r"^import time:.*\| +(\w+)", service.log.read_text(), re.M))
    assert {"flask", "ai_edge_litert"} <= imported
    assert not {"keras", "kubernetes", "requests", "rich", "tensorflow", "training", "urllib3"} & imported
