import json
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lookbook.model.bundle import read_bundle

from tests.support.model_init import files, flip_a_byte, run, start
from tests.support.places import CLOTHES, MLP, ROOT

NAME = "fashion-mnist-mlp/2.2.0"


def drafts(volume: Path) -> list[str]:
    return [path.name for path in volume.glob(".publish-*")]


def test_publishing_copies_the_folder(volume: Path) -> None:
    done = run("publish", MLP, "--volume", volume)
    assert done.stdout == f"published {NAME} (digest {read_bundle(MLP).digest})\n"
    assert files(volume / NAME) == files(MLP)
    assert not drafts(volume)


def test_every_bundle_in_a_folder_is_published(volume: Path) -> None:
    assert run("publish", ROOT / "models", "--volume", volume).returncode == 0
    listed = json.loads(run("list", "--volume", volume).stdout)
    assert [(entry["name"], entry["version"], entry["digest"]) for entry in listed] == [
        (bundle.name, bundle.version, bundle.digest)
        for bundle in map(read_bundle, sorted((ROOT / "models").glob("*/*")))
    ]
    assert listed[0]["bytes"] == sum(map(len, files(MLP).values()))
    assert listed[0]["created_at"] == read_bundle(MLP).manifest["created_at"]


def test_publishing_again_only_verifies(published: Path, volume: Path) -> None:
    inode = published.stat().st_ino
    again = run("publish", MLP, "--volume", volume)
    assert (again.returncode, published.stat().st_ino) == (0, inode)
    assert again.stdout.startswith(f"{NAME} was already published and is intact (digest ")


def test_a_published_version_never_changes(published: Path, volume: Path, make_bundle: Callable[..., Path]) -> None:
    before = files(published)
    refused = run("publish", make_bundle(license="another"), "--volume", volume)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "2.2.0 is already published with different content" in refused.stderr
    assert files(published) == before


def test_a_damaged_bundle_is_listed_with_its_error_and_repaired_by_publishing_it_again(
    published: Path, volume: Path
) -> None:
    flip_a_byte(published / "model.tflite")
    (entry,) = json.loads(run("list", "--volume", volume).stdout)
    assert "SHA-256" in entry["error"]
    assert run("publish", MLP, "--volume", volume).returncode == 0
    assert files(published) == files(MLP)
    assert not drafts(volume)


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        (lambda folder: flip_a_byte(folder / "model.tflite"), 4, "SHA-256"),
        (lambda folder: (folder / "model.json").write_text("[" * 100_000), 6, "malformed manifest"),
        (lambda folder: (folder / "model.json").unlink(), 3, "no bundle in"),
        (lambda folder: (folder / "model.tflite").unlink(), 3, "model.tflite: No such file"),
    ],
)
def test_a_bad_bundle_is_not_published(
    volume: Path, make_bundle: Callable[..., Path], change: Callable[[Path], None], code: int, reason: str
) -> None:
    folder = make_bundle()
    change(folder)
    refused = run("publish", folder, "--volume", volume)
    assert (refused.returncode, refused.stderr.count("\n")) == (code, 1)
    assert reason in refused.stderr
    assert not list(volume.iterdir())


@pytest.mark.parametrize("path", ["../evil", "/evil", "golden/../../evil", ".hidden", "a\0b", "a\nb"])
def test_no_path_in_a_manifest_may_leave_the_bundle_or_be_hidden(
    volume: Path, make_bundle: Callable[..., Path], path: str
) -> None:
    listed = json.loads((MLP / "model.json").read_text())["files"]
    folder = make_bundle(
        files={
            **listed,
            path: {"bytes": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        }
    )
    (folder / ".hidden").touch()
    refused = run("publish", folder, "--volume", volume)
    assert refused.returncode in (1, 6)
    assert refused.stderr.count("\n") == 1
    assert not [found for found in volume.iterdir() if not found.name.startswith(".")]
    assert not drafts(volume)


def test_files_that_the_manifest_does_not_list_are_not_published(
    volume: Path, make_bundle: Callable[..., Path]
) -> None:
    folder = make_bundle()
    (folder / "notes.txt").write_text("mine")
    assert run("publish", folder, "--volume", volume).returncode == 0
    assert "notes.txt" not in files(volume / NAME)


@pytest.mark.parametrize(("option", "code"), [([], 1), (["--shipped"], 0)])
def test_a_refused_bundle_does_not_stop_the_others(
    volume: Path, make_bundle: Callable[..., Path], option: list[str], code: int
) -> None:
    run("publish", make_bundle(created_at="2020-01-01T00:00:00Z"), "--volume", volume)
    ended = run("publish", *option, MLP.parent.parent, "--volume", volume)
    assert (ended.returncode, ended.stderr.count("\n")) == (code, 1)
    assert "give your bundle a new version" in ended.stderr
    assert files(volume / "lookbook-clothes" / CLOTHES.name) == files(CLOTHES)


def test_a_full_disk_is_reported_in_one_line(small_disk: Path) -> None:
    refused = run("publish", MLP, "--volume", small_disk)
    assert refused.returncode == 5
    assert refused.stderr == f"model-init: no space left in {small_disk}: enlarge that volume\n"
    assert not [found for found in small_disk.iterdir() if not found.name.startswith(".")]
    assert not drafts(small_disk)


def test_concurrent_publishes_of_one_version_all_succeed(volume: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: run("publish", CLOTHES, "--volume", volume), range(4)))
    assert [result.returncode for result in results] == [0] * 4
    assert sum("already published" not in result.stdout for result in results) == 1
    assert files(volume / "lookbook-clothes" / CLOTHES.name) == files(CLOTHES)
    assert not drafts(volume)


def test_a_killed_publish_leaves_the_whole_bundle_or_nothing(volume: Path, make_bundle: Callable[..., Path]) -> None:
    folder = make_bundle(version="1.1.0")
    moments = random.Random(4)  # the same in every run
    started = time.monotonic()
    run("publish", folder, "--volume", volume)
    duration = time.monotonic() - started
    for _ in range(12):
        shutil.rmtree(volume / "fashion-mnist-mlp", ignore_errors=True)
        process = start("publish", folder, "--volume", volume, stdout=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.5, 1.1) * duration)
        process.kill()
        process.wait()
        published = volume / "fashion-mnist-mlp/1.1.0"
        assert not published.exists() or files(published) == files(folder)
    assert run("publish", folder, "--volume", volume).returncode == 0
    assert files(published) == files(folder)


def test_the_next_publish_removes_the_draft_of_a_killed_one(volume: Path) -> None:
    (volume / ".publish-killed/bundle").mkdir(parents=True)
    assert run("publish", MLP, "--volume", volume).returncode == 0
    assert not drafts(volume)


def test_a_running_publish_keeps_its_draft(volume: Path) -> None:
    slow = start("receive", "--bytes", 10_000_000, "--volume", volume, stdin=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 30
        while not drafts(volume):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running = drafts(volume)
        assert run("publish", MLP, "--volume", volume).returncode == 0
        assert drafts(volume) == running
    finally:
        slow.kill()
        slow.communicate()
    assert run("publish", CLOTHES, "--volume", volume).returncode == 0
    assert not drafts(volume)
