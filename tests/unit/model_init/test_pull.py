import json
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lookbook.model.bundle import read_bundle

from tests.support.model_init import files, flip, run, start
from tests.support.places import MLP
from tests.support.running import free_port

DIGEST = read_bundle(MLP).digest


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


def asked(source: object, into: Path, *more: object, version: str = "2.2.0", wait: float = 0) -> list[object]:
    wanted = ["--source", source, "--name", "fashion-mnist-mlp", "--version", version]
    return ["pull", *wanted, "--into", into, "--wait", wait, *more]


@pytest.fixture(params=["http", "folder"])
def source(request: pytest.FixtureRequest, volume: Path, serve: Callable[[], str]) -> str:
    """The volume's HTTP server, or the volume itself."""
    return serve() if request.param == "http" else str(volume)


@pytest.mark.usefixtures("published")
def test_a_pulled_bundle_is_the_published_one(source: str, into: Path) -> None:
    done = run(*asked(source, into, "--digest", DIGEST))
    assert (done.returncode, done.stderr) == (0, "")
    assert files(into / "bundle") == files(MLP)
    assert (into / "READY").read_text() == DIGEST
    assert sorted(path.name for path in into.iterdir()) == ["READY", "bundle"]


@pytest.mark.usefixtures("published")
def test_a_rerun_needs_no_source(volume: Path, into: Path) -> None:
    run(*asked(volume, into))
    assert run(*asked(f"http://127.0.0.1:{free_port()}", into, "--digest", DIGEST)).returncode == 0


@pytest.mark.usefixtures("published")
def test_a_rerun_ends_in_milliseconds(volume: Path, into: Path) -> None:
    run(*asked(volume, into))
    seconds = []
    for _ in range(5):
        begun = time.monotonic()
        run(*asked(volume, into))
        seconds.append(time.monotonic() - begun)
    assert min(seconds) < 0.5


@pytest.mark.usefixtures("published")
def test_a_rerun_for_another_version_pulls_that(volume: Path, into: Path, make_bundle: Callable[..., Path]) -> None:
    run(*asked(volume, into))
    run("publish", make_bundle(version="1.1.0"), "--volume", volume)
    assert run(*asked(volume, into, version="1.1.0")).returncode == 0
    assert read_bundle(into / "bundle").version == "1.1.0"
    assert (into / "READY").read_text() == read_bundle(into / "bundle").digest


@pytest.mark.parametrize("change", [["--digest", "0" * 64], ["--version", "9.9.9"], ["--name", "other"]])
@pytest.mark.usefixtures("published")
def test_a_rerun_for_what_there_is_not_is_not_ready(volume: Path, into: Path, change: list[str]) -> None:
    run(*asked(volume, into))
    assert run(*asked(volume, into), *change).returncode in (3, 4)
    assert not (into / "READY").exists()


def test_a_swapped_bundle_is_not_taken(
    published: Path, source: str, into: Path, make_bundle: Callable[..., Path]
) -> None:
    shutil.rmtree(published)
    make_bundle(license="swapped").rename(published)
    refused = run(*asked(source, into, "--digest", DIGEST))
    assert refused.returncode == 4
    assert f"not the pinned {DIGEST}" in refused.stderr
    assert not (into / "READY").exists()


@pytest.mark.parametrize("name", ["model.tflite", "golden/fashion-8.png"])
def test_a_flipped_byte_is_found(published: Path, source: str, into: Path, name: str) -> None:
    flip(published / name)
    refused = run(*asked(source, into))
    assert refused.returncode == 4
    assert f"2.2.0 at {source}: {name}: its sha256 is not the manifest's: " in refused.stderr
    assert sorted(path.name for path in into.iterdir()) == [".pull"]


@pytest.mark.parametrize("content", [b"", b"more than " * 100_000])
def test_a_file_of_another_size_is_found(published: Path, source: str, into: Path, content: bytes) -> None:
    (published / "model.tflite").write_bytes(content)
    refused = run(*asked(source, into))
    assert refused.returncode == 4
    assert "bytes" in refused.stderr


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (b"", "Expecting value"),
        (b"[" * 100_000, "malformed"),
        (b" " * 5_000_000, "too large"),
        (b'{"labels": ["a", "b"]}', "no 'name'"),
    ],
)
def test_a_malformed_manifest_is_said(published: Path, source: str, into: Path, manifest: bytes, reason: str) -> None:
    (published / "model.json").write_bytes(manifest)
    refused = run(*asked(source, into))
    assert (refused.returncode, refused.stderr.count("\n")) == (6, 1)
    assert reason in refused.stderr


@pytest.mark.parametrize("change", [{"name": "other"}, {"version": "2.0.0"}])
def test_a_bundle_under_a_wrong_name_is_not_taken(
    published: Path, source: str, into: Path, make_bundle: Callable[..., Path], change: dict[str, str]
) -> None:
    shutil.rmtree(published)
    make_bundle(**change).rename(published)
    refused = run(*asked(source, into))
    assert refused.returncode == 6
    assert "its manifest says" in refused.stderr


@pytest.mark.parametrize("path", ["../evil", "../../evil", "/tmp/evil"])
def test_no_path_leaves_the_folder(
    published: Path, source: str, into: Path, make_bundle: Callable[..., Path], path: str
) -> None:
    listed = json.loads((MLP / "model.json").read_text())["files"]
    shutil.rmtree(published)
    make_bundle(files={**listed, path: listed["model.tflite"]}).rename(published)
    assert run(*asked(source, into)).returncode == 6
    assert not list(into.parent.rglob("evil"))
    assert not Path("/tmp/evil").exists()


@pytest.mark.usefixtures("published")
def test_a_version_that_is_not_there_is_named_with_what_to_do(source: str, into: Path) -> None:
    refused = run(*asked(source, into, version="1.2.0", wait=0.3))
    assert (refused.returncode, refused.stderr.count("\n")) == (3, 1)
    assert refused.stderr.startswith(f"model-init: no fashion-mnist-mlp 1.2.0 at {source} after 0.3 s: ")
    remedy = 'publish it with "lookbook model publish"' if source.startswith("http") else f"copy the bundle to {source}"
    assert remedy in refused.stderr


def test_a_source_that_is_not_reached_is_named(into: Path) -> None:
    place = f"http://127.0.0.1:{free_port()}"
    refused = run(*asked(place, into, wait=0.3))
    assert (refused.returncode, refused.stderr.count("\n")) == (7, 1)
    assert f"{place} not reached for 0.3 s ([Errno 111] Connection refused)" in refused.stderr


def test_a_source_that_answers_with_errors_is_not_reached(into: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = start(*asked(f"http://127.0.0.1:{server.getsockname()[1]}", into), stderr=subprocess.PIPE)
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
        said = process.communicate(timeout=30)[1]
        connection.close()
    assert process.returncode == 7
    assert b"it answers 500 Broken" in said


def test_a_connection_that_ends_early_is_no_bundle(into: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = start(*asked(place, into), stderr=subprocess.PIPE)
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
        connection.close()
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 7
    assert b"the connection ended early" in said


def test_it_waits_for_a_server_and_for_a_version(volume: Path, serve: Callable[[int], str], into: Path) -> None:
    port = free_port()
    process = start(*asked(f"http://127.0.0.1:{port}", into, wait=60), stdout=subprocess.PIPE)
    assert process.stdout.readline().startswith(b"waiting up to 60 s for fashion-mnist-mlp 2.2.0 at http://")
    serve(port)
    assert run("publish", MLP, "--volume", volume).returncode == 0
    assert process.wait(30) == 0
    process.communicate()
    assert files(into / "bundle") == files(MLP)


def test_it_can_be_terminated_while_it_waits(into: Path) -> None:
    process = start(*asked(f"http://127.0.0.1:{free_port()}", into, wait=60), stdout=subprocess.PIPE)
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 128 + signal.SIGTERM
    process.communicate()


@pytest.mark.usefixtures("published")
def test_a_full_disk_is_said_in_one_line(source: str, small_disk: Path) -> None:
    refused = run(*asked(source, small_disk, wait=60))
    assert refused.returncode == 5
    assert refused.stderr == f"model-init: no space left in {small_disk}: give that volume more room\n"
    assert not (small_disk / "READY").exists()


@pytest.mark.usefixtures("published")
def test_a_pull_that_is_killed_is_never_ready_with_less(volume: Path, into: Path) -> None:
    moments = random.Random(4)  # the same moments in every run
    begun = time.monotonic()
    run(*asked(volume, into))
    whole = time.monotonic() - begun
    for _ in range(12):
        shutil.rmtree(into)
        into.mkdir()
        process = start(*asked(volume, into), stdout=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.5, 1.1) * whole)
        process.kill()
        process.wait()
        assert not (into / "READY").exists() or files(into / "bundle") == files(MLP)
        assert run(*asked(volume, into)).returncode == 0
        assert files(into / "bundle") == files(MLP)
        assert not list(into.glob(".*"))


@pytest.mark.parametrize("place", ["ftp://host/", "relative", "http://", "http://host:port"])
def test_a_source_that_can_be_none_is_a_wrong_argument(into: Path, place: str) -> None:
    assert run(*asked(place, into)).returncode == 2
