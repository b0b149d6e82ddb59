import csv
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.support.commands import LOOKBOOK, json_lines, lookbook
from tests.support.places import BAG, MLP, PHOTOS, ROOT
from tests.support.running import Service, free_port, until

CLASSIFY = [*LOOKBOOK, "classify"]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder of 400 photographs."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(400):
        shutil.copyfile(PHOTOS / "hat.jpg", folder / f"{number:03}.jpg")
    return folder


def test_the_default_bundle_prints_a_table(tmp_path: Path) -> None:
    shutil.copytree(PHOTOS, tmp_path / "photos")
    ended = lookbook("classify", tmp_path / "photos", tmp_path / "photos/hat.jpg")
    assert (ended.returncode, ended.stderr) == (0, "")
    head, *rows = ended.stdout.splitlines()
    assert head.split() == ["path", "label", "score", "others"]
    names = [Path(row.split()[0]).name for row in rows]
    assert names == [*sorted(path.name for path in PHOTOS.glob("*.jpg")), "hat.jpg"]
    assert re.search(r"/hat\.jpg +Hat +9\d\.\d%", ended.stdout)
    assert not list(tmp_path.glob("*.sqlite"))


def test_a_bundle_gives_the_same_predictions_as_its_server(serve: Callable[..., Service]) -> None:
    service = serve(max_requests=50).ready()
    paths = [*PHOTOS.glob("*.jpg"), BAG]
    local = json_lines(lookbook("classify", *paths, "--bundle", MLP, "--json").stdout)
    remote = json_lines(lookbook("classify", *paths, "--url", service.url, "--json").stdout)
    assert [result["path"] for result in remote] == [str(path) for path in paths]
    for name in ("path", "label", "score", "top", "model"):
        assert [result[name] for result in local] == [result[name] for result in remote]
    assert {result["id"] for result in remote} == service.all_ids()


def test_standard_input_is_an_image() -> None:
    (result,) = json_lines(lookbook("classify", "-", "--bundle", MLP, "--json", input=BAG.read_bytes()).stdout)
    assert (result["path"], result["label"]) == ("-", "Bag")


def test_bad_files_are_reported_and_do_not_stop_the_others(serve: Callable[..., Service], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "large.png").write_bytes(BAG.read_bytes() + bytes(100_000))
    paths = [tmp_path / "none.png", BAG, tmp_path / "broken.jpg", tmp_path / "large.png", BAG]
    ended = lookbook("classify", *paths, "--url", serve(max_bytes=50_000).ready().url, "--json")
    assert ended.returncode == 1
    codes = [result.get("error", {}).get("code") for result in json_lines(ended.stdout)]
    assert codes == ["unreadable", None, "unsupported_media_type", "image_too_large", None]
    assert ended.stderr.splitlines() == [
        f"lookbook: {tmp_path}/none.png: No such file or directory",
        f"lookbook: {tmp_path}/broken.jpg: the file is not a JPEG, PNG, or WebP image",
        f"lookbook: {tmp_path}/large.png: the request body is larger than 50,000 bytes: send a smaller image or batch",
        "lookbook: 3 of 5 images failed",
    ]


def test_csv_has_a_row_for_each_image(tmp_path: Path) -> None:
    names = [tmp_path / name for name in ('a,b "c"\n.png', "a\nb.png", "none.png")]
    for name in names[:2]:
        shutil.copyfile(BAG, name)
    ended = lookbook("classify", *names, "--bundle", MLP, "--csv")
    good, broken, bad = csv.DictReader(ended.stdout.splitlines(keepends=True))
    assert [good["path"], broken["path"]] == list(map(str, names[:2]))
    assert (good["label"], good["version"], good["error"]) == ("Bag", "2.2.0", "")
    assert float(good["score"]) > float(good["score_2"]) > float(good["score_3"])
    assert (bad["label"], bad["error"]) == ("", "unreadable: No such file or directory")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Missing argument 'PATH...'"),
        (["x.png", "--url", "127.0.0.1:8080"], "'127.0.0.1:8080' is not a URL such as http://127.0.0.1:8080"),
        (["x.png", "--url", "http://"], "'http://' is not a URL"),
        (["x.png", "--url", "http://127.0.0.1:99999"], "is not a URL"),
        (["x.png", "--token", "a\nb"], "a token must not contain line breaks"),
        (["x.png", "--url", "http://127.0.0.1", "--bundle", "x"], "cannot be used together"),
        (["training"], "no JPEG, PNG, or WebP images in training"),
    ],
)
def test_a_wrong_command_line_exits_with_2(arguments: list[str], complaint: str) -> None:
    ended = lookbook("classify", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert complaint in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--bundle", "/nowhere"],
            "no bundle in /nowhere; name the folder that contains model.json (for a server, in LOOKBOOK_MODEL)",
        ),
        (["--url", f"http://127.0.0.1:{free_port()}"], ": [Errno 111] Connection refused"),
        (["--url", f"http://{'a' * 70}.test"], f"cannot reach http://{'a' * 70}.test: "),
    ],
)
def test_a_missing_bundle_or_server_is_one_line(arguments: list[str], complaint: str) -> None:
    began = time.monotonic()
    ended = lookbook("classify", BAG, *arguments)
    assert time.monotonic() - began < 5
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert complaint in ended.stderr


def test_a_server_that_stops_ends_the_command(serve: Callable[..., Service], many: Path, tmp_path: Path) -> None:
    service = serve().ready()
    out = tmp_path / "out"
    with (
        out.open("w") as file,
        subprocess.Popen(
            [*CLASSIFY, str(many), "--url", service.url, "--json"],
            stdout=file,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        ) as command,
    ):
        until(lambda: "\n" in out.read_text())
        service.stop()
        _, complaints = command.communicate(timeout=120)
    assert command.returncode == 1
    assert 0 < len(json_lines(out.read_text())) < 400
    done, error = complaints.splitlines()[-2:]
    assert done == f"lookbook: stopped: {len(json_lines(out.read_text()))} of 400 images are done"
    assert error.startswith(f"lookbook: cannot reach {service.url}: ")


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_ctrl_c_never_cuts_a_line(many: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    with (
        out.open("w") as file,
        subprocess.Popen(
            [*CLASSIFY, *[str(many)] * 50, form],
            stdout=file,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            # Tests that run in the background ignore Ctrl-C, and so would their children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as command,
    ):
        until(lambda: out.read_text().count("\n") > 20)
        command.send_signal(signal.SIGINT)
        _, complaints = command.communicate(timeout=30)
    assert command.returncode == 130
    text = out.read_text()
    read = json_lines(text) if form == "--json" else list(csv.DictReader(text.splitlines()))
    assert 20 <= len(read) < 20_000
    assert all(result["label"] == "Hat" and result["model"] for result in read)
    assert text.endswith("\n")
    assert complaints == f"lookbook: stopped: {len(read)} of 20000 images are done\n"


def test_ctrl_c_prints_everything_that_was_stored(serve: Callable[..., Service], tmp_path: Path) -> None:
    """Including what comes after an image that the command still waits for, here a pipe that delivers nothing."""
    os.mkfifo(tmp_path / "pipe")
    service = serve().ready()
    paths = [tmp_path / "pipe", *[BAG] * 5]
    command = subprocess.Popen(
        [*CLASSIFY, *map(str, paths), "--url", service.url, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )

    def idle() -> bool:
        """The server has responded, and the command has received it: each of its threads sleeps."""
        stats = Path(f"/proc/{command.pid}/task").glob("*/stat")
        return "lookbook_in_flight 0.0" in requests.get(f"{service.url}/metrics", timeout=5).text and all(
            stat.read_text().rpartition(")")[2].split()[0] == "S" for stat in stats
        )

    until(lambda: len(service.all_ids()) == 5)
    until(idle)
    command.send_signal(signal.SIGINT)
    out, complaints = command.communicate(timeout=30)
    assert {result["id"] for result in json_lines(out.decode())} == service.all_ids()
    assert (command.returncode, complaints) == (130, b"lookbook: stopped: 5 of 6 images are done\n")


def test_a_reader_that_closes_the_pipe_ends_the_command(many: Path) -> None:
    with subprocess.Popen(
        [*CLASSIFY, str(many), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    ) as command:
        assert command.stdout
        assert command.stderr
        command.stdout.readline()
        command.stdout.close()
        assert (command.stderr.read(), command.wait(30)) == ("", 1)
