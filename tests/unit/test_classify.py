import csv
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests

from tests.support.places import BAG, MLP, PHOTOS, ROOT
from tests.support.running import Service, free_port, until

COMMAND = [sys.executable, "-m", "lookbook", "classify"]


def classify(*arguments: object, input: bytes = b"", **environment: str) -> "subprocess.CompletedProcess[str]":
    ended = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=input,
        env={"PATH": os.environ["PATH"], **environment},
        cwd=ROOT,
        capture_output=True,
        timeout=120,
    )
    return subprocess.CompletedProcess(ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def records(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder of 400 photographs."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(400):
        shutil.copyfile(PHOTOS / "hat.jpg", folder / f"{number:03}.jpg")
    return folder


def test_the_shipped_bundle_on_the_spot_is_a_table(tmp_path: Path) -> None:
    shutil.copytree(PHOTOS, tmp_path / "photos")
    ended = classify(tmp_path / "photos", tmp_path / "photos/hat.jpg")
    assert (ended.returncode, ended.stderr) == (0, "")
    head, *rows = ended.stdout.splitlines()
    assert head.split() == ["path", "label", "score", "others"]
    names = [Path(row.split()[0]).name for row in rows]
    assert names == [*sorted(path.name for path in PHOTOS.glob("*.jpg")), "hat.jpg"]
    assert re.search(r"/hat\.jpg +Hat +9\d\.\d%", ended.stdout)
    assert not list(tmp_path.glob("*.sqlite"))


def test_the_bundle_on_the_spot_says_what_its_server_says(serve: Callable[..., Service]) -> None:
    service = serve(max_requests=50).ready()
    paths = [*PHOTOS.glob("*.jpg"), BAG]
    here = records(classify(*paths, "--bundle", MLP, "--json").stdout)
    there = records(classify(*paths, "--url", service.url, "--json").stdout)
    assert [record["path"] for record in there] == [str(path) for path in paths]
    for name in ("path", "label", "score", "top", "model"):
        assert [record[name] for record in here] == [record[name] for record in there]
    assert {record["id"] for record in there} == service.all_ids()


def test_folders_are_searched_and_hidden_files_left_out(tmp_path: Path) -> None:
    for name in ("b/z.PNG", "b/a.png", "a.webp.png", ".hidden.png", ".cache/x.png", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(BAG, tmp_path / name)
    os.mkfifo(tmp_path / "pipe.png")
    ended = classify(tmp_path, "--bundle", MLP, "--json")
    found = [str(Path(record["path"]).relative_to(tmp_path)) for record in records(ended.stdout)]
    assert found == ["a.webp.png", "b/a.png", "b/z.PNG"]


def test_standard_input_is_a_picture() -> None:
    (record,) = records(classify("-", "--bundle", MLP, "--json", input=BAG.read_bytes()).stdout)
    assert (record["path"], record["label"]) == ("-", "Bag")


def test_bad_files_are_reported_and_do_not_stop_the_others(serve: Callable[..., Service], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "large.png").write_bytes(BAG.read_bytes() + bytes(100_000))
    paths = [tmp_path / "none.png", BAG, tmp_path / "broken.jpg", tmp_path / "large.png", BAG]
    ended = classify(*paths, "--url", serve(max_bytes=50_000).ready().url, "--json")
    assert ended.returncode == 1
    codes = [record.get("error", {}).get("code") for record in records(ended.stdout)]
    assert codes == ["unreadable", None, "unsupported_media_type", "image_too_large", None]
    assert ended.stderr.splitlines() == [
        f"lookbook: {tmp_path}/none.png: No such file or directory",
        f"lookbook: {tmp_path}/broken.jpg: the file is not a JPEG, PNG or WebP image",
        f"lookbook: {tmp_path}/large.png: the request body is larger than 50000 bytes",
        "lookbook: 3 of 5 pictures failed",
    ]


def test_a_body_far_too_large_stops_nothing(serve: Callable[..., Service], tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(BAG.read_bytes() + bytes(20_000_000))
    paths = [BAG, *[tmp_path / "large.png"] * 8, BAG]
    ended = classify(*paths, "--url", serve().ready().url, "--json")
    first, *large, last = records(ended.stdout)
    assert (ended.returncode, first["label"], last["label"]) == (1, "Bag", "Bag")
    # A server that does not read all of it may be heard, or not.
    assert {record["error"]["code"] for record in large} <= {"image_too_large", "connection_lost"}


def test_csv_has_a_row_for_each_picture(tmp_path: Path) -> None:
    names = [tmp_path / name for name in ('a,b "c"\n.png', "a\nb.png", "none.png")]
    for name in names[:2]:
        shutil.copyfile(BAG, name)
    ended = classify(*names, "--bundle", MLP, "--csv")
    good, broken, bad = csv.DictReader(ended.stdout.splitlines(keepends=True))
    assert [good["path"], broken["path"]] == list(map(str, names[:2]))
    assert (good["label"], good["version"], good["error"]) == ("Bag", "2.2.0", "")
    assert float(good["score"]) > float(good["score_2"]) > float(good["score_3"])
    assert (bad["label"], bad["error"]) == ("", "unreadable: No such file or directory")


def test_a_name_steers_no_terminal(tmp_path: Path) -> None:
    os.rename(shutil.copyfile(BAG, tmp_path / "x"), os.fsencode(tmp_path / "a\x1b[2J") + b"\xff.png")
    ended = classify(tmp_path, tmp_path / "b\x1b[2J", "--bundle", MLP)
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "Bag" in ended.stdout


def test_a_name_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    shutil.copyfile(BAG, tmp_path / "tasche-\N{HANDBAG}.png")
    ended = classify(tmp_path, BAG, "--bundle", MLP, PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stdout.count("Bag")) == (0, 2)
    assert r"tasche-\U0001f45c.png" in ended.stdout


def test_wide_characters_keep_the_columns() -> None:
    with tempfile.TemporaryDirectory() as folder:  # whose path is short enough for a column
        for name in ("bag.png", "\N{HANDBAG}包.png"):
            shutil.copyfile(BAG, Path(folder, name))
        _, plain, wide = classify(folder, "--bundle", MLP).stdout.splitlines()
    # Both take two columns each.
    assert plain.index("Bag") == wide.index("Bag") + 2


def test_what_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "film.jpg").touch()
    os.truncate(tmp_path / "film.jpg", 5_000_000_000)
    ended = classify(tmp_path, BAG, "--bundle", MLP)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[0] == f"lookbook: {tmp_path}/film.jpg: larger than 128 MB"
    assert "Bag" in ended.stdout


@pytest.mark.parametrize(("closed", "shown"), [(">&-", ""), ("2>&-", "Bag")])
def test_a_closed_stream_stops_nothing(closed: str, shown: str) -> None:
    command = f'"$0" -m lookbook classify {BAG} /nowhere --bundle {MLP} {closed}'
    ended = subprocess.run(["sh", "-c", command, sys.executable], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert ended.returncode == 1
    assert shown in ended.stdout
    assert "nowhere" not in ended.stdout
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Missing argument 'PATH...'"),
        (["x.png", "--url", "127.0.0.1:8080"], "'127.0.0.1:8080' is no address such as http://127.0.0.1:8080"),
        (["x.png", "--url", "http://"], "'http://' is no address"),
        (["x.png", "--url", "http://127.0.0.1:99999"], "is no address"),
        (["x.png", "--token", "a\nb"], "a token has no line breaks"),
        (["x.png", "--url", "http://127.0.0.1", "--bundle", "x"], "exclude each other"),
        (["training"], "no pictures in training"),
    ],
)
def test_a_wrong_call_ends_with_2(arguments: list[str], complaint: str) -> None:
    ended = classify(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert complaint in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--bundle", "/nowhere"], "/nowhere/model.json: No such file or directory"),
        (["--url", f"http://127.0.0.1:{free_port()}"], "can't be reached: [Errno 111] Connection refused"),
        (["--url", f"http://{'a' * 70}.test"], "can't be reached: "),
    ],
)
def test_nothing_to_ask_is_one_line(arguments: list[str], complaint: str) -> None:
    began = time.monotonic()
    ended = classify(BAG, *arguments)
    assert time.monotonic() - began < 5
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert complaint in ended.stderr


@pytest.mark.parametrize("answer", ["{}", "[]", "null", '{"labels": 1}', '{"labels": []}', "<html>"])
def test_another_kind_of_server_is_one_line(answer: str) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.encode())

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.handle_request).start()
        ended = classify(BAG, "--url", f"http://127.0.0.1:{server.server_port}")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "is no Lookbook server: /v1/model " in ended.stderr


def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "lookbook", "classify", BAG, "--bundle", MLP]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, "lookbook: the answers can't be written: No space left on device\n")


def test_the_environment_names_server_and_token(serve: Callable[..., Service], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    service = serve(tokens_file=tmp_path / "tokens").ready()
    refused = classify(BAG, LOOKBOOK_URL=service.url)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "the server wants a token: --token or LOOKBOOK_TOKEN" in refused.stderr
    wrong = classify(BAG, LOOKBOOK_URL=service.url, LOOKBOOK_TOKEN="wrong")
    assert "the server does not accept this token" in wrong.stderr
    assert classify(BAG, LOOKBOOK_URL=service.url, LOOKBOOK_TOKEN="secret").returncode == 0
    assert "id" not in records(classify(BAG, "--bundle", MLP, "--json", LOOKBOOK_URL=service.url).stdout)[0]


def test_a_busy_server_is_asked_again(serve: Callable[..., Service]) -> None:
    service = serve(max_requests=1, body_timeout=30).ready()
    paths = [BAG] * 40
    with socket.create_connection(("127.0.0.1", service.port)) as hog:
        hog.sendall(
            b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\nx"
        )
        until(lambda: "lookbook_in_flight 1.0" in requests.get(f"{service.url}/metrics", timeout=5).text)
        # The first call, for the model, is refused, too.
        command = subprocess.Popen(
            [*COMMAND, *map(str, paths), "--url", service.url, "--json"], stdout=subprocess.PIPE, cwd=ROOT
        )
        until(lambda: "lookbook_refused_total 0.0" not in requests.get(f"{service.url}/metrics", timeout=5).text)
    out, _ = command.communicate(timeout=120)
    assert command.returncode == 0
    ids = {record["id"] for record in records(out.decode())}
    assert len(ids) == len(paths)
    assert ids == service.all_ids()


def test_a_pause_that_is_no_number_is_one_all_the_same() -> None:
    """As some proxies ask for it while the server behind them is away."""
    model = {"name": "m", "version": "1", "labels": ["Bag"]}
    record = {"label": "Bag", "score": 1.0, "top": [{"label": "Bag", "score": 1.0}], "model": model}
    posts: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(200, model)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            posts.append(self.path)
            self.answer(503 if len(posts) < 3 else 201, record)

        def answer(self, code: int, body: dict) -> None:
            self.send_response(code)
            self.send_header("Retry-After", "soon")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

    with HTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever).start()
        ended = classify(BAG, "--url", f"http://127.0.0.1:{server.server_port}", "--json")
        server.shutdown()
    assert (ended.returncode, ended.stderr, len(posts)) == (0, "", 3)
    assert records(ended.stdout)[0]["label"] == "Bag"


class Unsteady:
    """Passes connections on to a server; the first that sends a picture ends where its answer would begin."""

    def __init__(self, port: int) -> None:
        self.swallowed = 0
        self._port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._server.accept()
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        posted = False
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(1 << 16)
                    posted = posted or (source is client and data.startswith(b"POST"))
                    if source is server and posted and not self.swallowed:
                        self.swallowed += 1
                        return
                    if not data:
                        return
                    (server if source is client else client).sendall(data)


def test_a_lost_answer_is_not_stored_twice(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    unsteady = Unsteady(service.port)
    ended = classify(BAG, "--url", unsteady.url, "--json")
    assert (ended.returncode, unsteady.swallowed) == (0, 1)
    assert service.all_ids() == {records(ended.stdout)[0]["id"]}


def test_a_server_that_goes_away_ends_it(serve: Callable[..., Service], many: Path, tmp_path: Path) -> None:
    service = serve().ready()
    out = tmp_path / "out"
    with (
        out.open("w") as file,
        subprocess.Popen(
            [*COMMAND, str(many), "--url", service.url, "--json"],
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
    assert 0 < len(records(out.read_text())) < 400
    done, error = complaints.splitlines()[-2:]
    assert done == f"lookbook: interrupted: {len(records(out.read_text()))} of 400 pictures are done"
    assert error.startswith(f"lookbook: {service.url} can't be reached: ")


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_ctrl_c_leaves_whole_lines(many: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    with (
        out.open("w") as file,
        subprocess.Popen(
            [*COMMAND, *[str(many)] * 50, form],
            stdout=file,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            # What runs in the background ignores Ctrl-C, and so would its children: these are at a terminal.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as command,
    ):
        until(lambda: out.read_text().count("\n") > 20)
        command.send_signal(signal.SIGINT)
        _, complaints = command.communicate(timeout=30)
    assert command.returncode == 130
    text = out.read_text()
    read = records(text) if form == "--json" else list(csv.DictReader(text.splitlines()))
    assert 20 <= len(read) < 20_000
    assert all(record["label"] == "Hat" and record["model"] for record in read)
    assert text.endswith("\n")
    assert complaints == f"lookbook: interrupted: {len(read)} of 20000 pictures are done\n"


def test_ctrl_c_leaves_all_that_was_answered(serve: Callable[..., Service], tmp_path: Path) -> None:
    """Also what stands behind a picture that is still waited for: here one that a pipe never gives."""
    os.mkfifo(tmp_path / "pipe")
    service = serve().ready()
    paths = [tmp_path / "pipe", *[BAG] * 5]
    command = subprocess.Popen(
        [*COMMAND, *map(str, paths), "--url", service.url, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )

    def idle() -> bool:
        """The server has answered, and the command has taken it: each of its threads sleeps."""
        stats = Path(f"/proc/{command.pid}/task").glob("*/stat")
        return "lookbook_in_flight 0.0" in requests.get(f"{service.url}/metrics", timeout=5).text and all(
            stat.read_text().rpartition(")")[2].split()[0] == "S" for stat in stats
        )

    until(lambda: len(service.all_ids()) == 5)
    until(idle)
    command.send_signal(signal.SIGINT)
    out, complaints = command.communicate(timeout=30)
    assert {record["id"] for record in records(out.decode())} == service.all_ids()
    assert (command.returncode, complaints) == (130, b"lookbook: interrupted: 5 of 6 pictures are done\n")


def test_a_reader_that_leaves_ends_it(many: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, str(many), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    ) as command:
        assert command.stdout
        assert command.stderr
        command.stdout.readline()
        command.stdout.close()
        assert (command.stderr.read(), command.wait(30)) == ("", 1)


def on_a_terminal(*arguments: str, stdout: int | None = None) -> tuple[str, int]:
    """What a command shows on a real terminal, and its exit code."""
    ours, its = pty.openpty()
    command = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=its,
        stdout=its if stdout is None else stdout,
        stderr=its,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(its)
    shown = b""
    with open(ours, "rb", buffering=0) as terminal:
        try:
            while block := terminal.read(65536):
                shown += block
        except OSError:  # how a terminal ends on Linux
            pass
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode()), command.wait(30)


def test_a_terminal_gets_a_bar_with_rate_and_time_left(many: Path) -> None:
    (many / "000.jpg").write_bytes(b"")
    shown, code = on_a_terminal(str(many))
    assert code == 1
    assert re.search(r"━ +\d+/400 \d+\.\d/s 0:\d\d:\d\d left", shown)
    lines = [line.rpartition("\r")[2] for line in shown.split("\r\n")]
    assert sum(bool(re.fullmatch(r"\S+/\d{3}\.jpg +Hat +9\d\.\d%.*", line)) for line in lines) == 399
    assert f"lookbook: {many}/000.jpg: the file is empty" in lines


def test_the_bar_leaves_standard_output_alone(many: Path, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        shown, code = on_a_terminal(str(many), "--json", stdout=out.fileno())
    assert code == 0
    assert len(records((tmp_path / "out").read_text())) == 400
    assert "400/400" in shown
    assert "Hat" not in shown
