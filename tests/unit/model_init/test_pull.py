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

from tests.support.model_init import files, flip_a_byte, run, start
from tests.support.places import MLP
from tests.support.running import free_port

DIGEST = read_bundle(MLP).digest


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


def pull(source: object, into: Path, *more: object, version: str = "2.2.0", wait: float = 0) -> list[object]:
    """Arguments of a pull of the smallest bundle."""
    reference = ["--source", source, "--name", "fashion-mnist-mlp", "--version", version]
    return ["pull", *reference, "--into", into, "--wait", wait, *more]


@pytest.fixture(params=["http", "folder"])
def source(request: pytest.FixtureRequest, volume: Path, serve: Callable[[], str]) -> str:
    """The volume's HTTP server, or the volume itself."""
    return serve() if request.param == "http" else str(volume)


@pytest.mark.usefixtures("published")
def test_a_pulled_bundle_equals_the_published_one(source: str, into: Path) -> None:
    done = run(*pull(source, into, "--digest", DIGEST))
    assert (done.returncode, done.stderr) == (0, "")
    assert files(into / "bundle") == files(MLP)
    assert (into / "READY").read_text() == DIGEST
    assert sorted(path.name for path in into.iterdir()) == ["READY", "bundle"]


@pytest.mark.usefixtures("published")
def test_a_second_pull_needs_no_source(volume: Path, into: Path) -> None:
    run(*pull(volume, into))
    assert run(*pull(f"http://127.0.0.1:{free_port()}", into, "--digest", DIGEST)).returncode == 0


@pytest.mark.usefixtures("published")
def test_a_second_pull_ends_in_milliseconds(volume: Path, into: Path) -> None:
    run(*pull(volume, into))
    seconds = []
    for _ in range(5):
        started = time.monotonic()
        run(*pull(volume, into))
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 0.5


@pytest.mark.usefixtures("published")
def test_a_second_pull_may_ask_for_another_version(volume: Path, into: Path, make_bundle: Callable[..., Path]) -> None:
    run(*pull(volume, into))
    run("publish", make_bundle(version="1.1.0"), "--volume", volume)
    assert run(*pull(volume, into, version="1.1.0")).returncode == 0
    assert read_bundle(into / "bundle").version == "1.1.0"
    assert (into / "READY").read_text() == read_bundle(into / "bundle").digest


@pytest.mark.parametrize("change", [["--digest", "0" * 64], ["--version", "9.9.9"], ["--name", "other"]])
@pytest.mark.usefixtures("published")
def test_after_a_failed_pull_the_folder_is_not_ready(volume: Path, into: Path, change: list[str]) -> None:
    run(*pull(volume, into))
    assert run(*pull(volume, into), *change).returncode in (3, 4)
    assert not (into / "READY").exists()


def test_a_replaced_bundle_is_refused(
    published: Path, source: str, into: Path, make_bundle: Callable[..., Path]
) -> None:
    shutil.rmtree(published)
    make_bundle(license="swapped").rename(published)
    refused = run(*pull(source, into, "--digest", DIGEST))
    assert refused.returncode == 4
    assert f"not the pinned {DIGEST}" in refused.stderr
    assert not (into / "READY").exists()


@pytest.mark.parametrize("name", ["model.tflite", "golden/fashion-8.png"])
def test_a_flipped_byte_is_detected(published: Path, source: str, into: Path, name: str) -> None:
    flip_a_byte(published / name)
    refused = run(*pull(source, into))
    assert refused.returncode == 4
    assert f"2.2.0 at {source}: {name}: " in refused.stderr
    assert sorted(path.name for path in into.iterdir()) == [".pull"]


@pytest.mark.parametrize("content", [b"", b"more than " * 100_000])
def test_a_file_of_the_wrong_size_is_detected(published: Path, source: str, into: Path, content: bytes) -> None:
    (published / "model.tflite").write_bytes(content)
    refused = run(*pull(source, into))
    assert refused.returncode == 4
    assert "bytes" in refused.stderr


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (b"", "Expecting value"),
        (b"[" * 100_000, "malformed"),
        (b" " * 5_000_000, "too large"),
        (b'{"labels": ["a", "b"]}', "'name' is missing"),
    ],
)
def test_a_malformed_manifest_is_reported(
    published: Path, source: str, into: Path, manifest: bytes, reason: str
) -> None:
    (published / "model.json").write_bytes(manifest)
    refused = run(*pull(source, into))
    assert (refused.returncode, refused.stderr.count("\n")) == (6, 1)
    assert reason in refused.stderr


@pytest.mark.parametrize("change", [{"name": "other"}, {"version": "2.0.0"}])
def test_a_bundle_under_the_wrong_name_is_refused(
    published: Path, source: str, into: Path, make_bundle: Callable[..., Path], change: dict[str, str]
) -> None:
    shutil.rmtree(published)
    make_bundle(**change).rename(published)
    refused = run(*pull(source, into))
    assert refused.returncode == 6
    assert "the manifest is for" in refused.stderr


@pytest.mark.parametrize("path", ["../evil", "../../evil", "/tmp/evil"])
def test_no_path_in_a_manifest_may_leave_the_folder(
    published: Path, source: str, into: Path, make_bundle: Callable[..., Path], path: str
) -> None:
    listed = json.loads((MLP / "model.json").read_text())["files"]
    shutil.rmtree(published)
    make_bundle(files={**listed, path: listed["model.tflite"]}).rename(published)
    assert run(*pull(source, into)).returncode == 6
    assert not list(into.parent.rglob("evil"))
    assert not Path("/tmp/evil").exists()


@pytest.mark.usefixtures("published")
def test_a_missing_version_is_named_with_what_to_do(source: str, into: Path) -> None:
    refused = run(*pull(source, into, version="1.2.0", wait=0.3))
    assert (refused.returncode, refused.stderr.count("\n")) == (3, 1)
    assert refused.stderr.startswith(f"model-init: no fashion-mnist-mlp 1.2.0 at {source} after 0.3 s: ")
    advice = 'publish it with "lookbook model publish"' if source.startswith("http") else f"copy the bundle to {source}"
    assert advice in refused.stderr


def test_an_unreachable_source_is_named_with_what_to_check(into: Path) -> None:
    place = f"http://127.0.0.1:{free_port()}"
    refused = run(*pull(place, into, wait=0.3))
    assert (refused.returncode, refused.stderr.count("\n")) == (7, 1)
    assert f"{place} was not reachable for 0.3 s ([Errno 111] Connection refused): check that it is" in refused.stderr


def test_a_missing_volume_is_named_with_what_to_check(into: Path) -> None:
    refused = run(*pull(into / "nowhere", into, wait=0.3))
    assert refused.returncode == 7
    assert f"{into}/nowhere was not reachable for 0.3 s (no such folder): check that the volume" in refused.stderr


def test_a_source_that_responds_with_errors_counts_as_unreachable(into: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = start(*pull(f"http://127.0.0.1:{server.getsockname()[1]}", into), stderr=subprocess.PIPE)
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
        output = process.communicate(timeout=30)[1]
        connection.close()
    assert process.returncode == 7
    assert b"HTTP status 500 Broken" in output


def test_a_connection_that_closes_early_counts_as_unreachable(into: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = start(*pull(place, into), stderr=subprocess.PIPE)
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
        connection.close()
        output = process.communicate(timeout=30)[1]
    assert process.returncode == 7
    assert b"the connection closed early" in output


def test_it_waits_for_the_server_and_for_the_version(volume: Path, serve: Callable[[int], str], into: Path) -> None:
    port = free_port()
    process = start(*pull(f"http://127.0.0.1:{port}", into, wait=60), stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline().startswith(b"waiting up to 60 s for fashion-mnist-mlp 2.2.0 at http://")
    serve(port)
    assert run("publish", MLP, "--volume", volume).returncode == 0
    assert process.wait(30) == 0
    process.communicate()
    assert files(into / "bundle") == files(MLP)


def test_it_can_be_terminated_while_it_waits(into: Path) -> None:
    process = start(*pull(f"http://127.0.0.1:{free_port()}", into, wait=60), stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 128 + signal.SIGTERM
    process.communicate()


@pytest.mark.usefixtures("published")
def test_a_full_disk_is_reported_in_one_line(source: str, small_disk: Path) -> None:
    refused = run(*pull(source, small_disk, wait=60))
    assert refused.returncode == 5
    assert refused.stderr == f"model-init: no space left in {small_disk}: enlarge that volume\n"
    assert not (small_disk / "READY").exists()


@pytest.mark.usefixtures("published")
def test_a_killed_pull_is_not_ready_with_an_incomplete_bundle(volume: Path, into: Path) -> None:
    moments = random.Random(4)  # the same in every run
    started = time.monotonic()
    run(*pull(volume, into))
    duration = time.monotonic() - started
    for _ in range(12):
        shutil.rmtree(into)
        into.mkdir()
        process = start(*pull(volume, into), stdout=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.5, 1.1) * duration)
        process.kill()
        process.wait()
        assert not (into / "READY").exists() or files(into / "bundle") == files(MLP)
        assert run(*pull(volume, into)).returncode == 0
        assert files(into / "bundle") == files(MLP)
        assert not list(into.glob(".*"))


@pytest.mark.parametrize("place", ["ftp://host/", "relative", "http://", "http://host:port"])
def test_an_impossible_source_is_a_wrong_argument(into: Path, place: str) -> None:
    assert run(*pull(place, into)).returncode == 2
