import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lookbook.model.bundle import BundleError, find_bundle, read_bundle
from lookbook.settings import Settings

from tests.support.places import CLOTHES, MLP, UINT8


def test_a_bundle_is_described_by_its_manifest() -> None:
    bundle = read_bundle(MLP)
    assert (bundle.name, bundle.version) == ("fashion-mnist-mlp", "2.2.0")
    assert bundle.labels[8] == "Bag"
    assert (bundle.input.height, bundle.input.width, bundle.input.channels) == (28, 28, 1)


@pytest.mark.parametrize(("folder", "type"), [(MLP, "float32"), (UINT8, "uint8")])
def test_the_input_is_written_as_it_was_read(folder: Path, type: str) -> None:
    bundle = read_bundle(folder)
    assert bundle.input.type == type
    assert bundle.input.to_json() == bundle.manifest["input"]


def test_the_default_bundle_is_found_from_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_bundle(find_bundle(Settings().model)).name == "lookbook-clothes"
    assert find_bundle("models/none") == Path("models/none")


def test_the_default_bundle_is_small_enough_for_every_pod_to_pull() -> None:
    assert sum(path.stat().st_size for path in CLOTHES.rglob("*") if path.is_file()) <= 4_000_000


@pytest.mark.parametrize("name", ["model.tflite", "golden/fashion-8.png"])
def test_one_flipped_byte_is_found(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(MLP, folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}: its SHA-256 differs from the manifest's"):
        read_bundle(folder)


@pytest.mark.parametrize("name", ["model.json", "model.tflite", "golden/fashion-8.png"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(MLP, folder)
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: No such file|no bundle in .* contains {name}"):
        read_bundle(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("labels"), "malformed manifest: 'labels' is missing"),
        (lambda m: m.update(labels="ten labels"), "two or more labels"),
        (lambda m: m.update(labels=None), "malformed manifest"),
        (lambda m: m.update(version="one"), "semantic version"),
        (lambda m: m.update(name="../up"), "name"),
        (lambda m: m.update(format="onnx"), "format 'onnx'"),
        (lambda m: m.update(golden=[]), "no golden images"),
        (lambda m: m["input"].update(color="cmyk"), "color 'cmyk'"),
        (lambda m: m["input"].update(size=[28]), "malformed manifest"),
        (lambda m: m["input"].update(std=[0]), "std must be above 0"),
        (lambda m: m["input"].update(type="int8"), "type 'int8' must be 'float32' or 'uint8'"),
        (lambda m: m["files"].pop("model.tflite"), "no digest for model.tflite"),
        (lambda m: m["files"].update({"../../secret": {}}), "must lie inside the bundle"),
        (lambda m: m["files"].update({"/etc/passwd": {}}), "must lie inside the bundle"),
        (lambda m: m["files"]["model.tflite"].update(bytes=1), "bytes, but the manifest says 1"),
    ],
)
def test_a_malformed_manifest_is_refused_in_one_line(
    altered: Callable[..., Path], change: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(BundleError) as caught:
        read_bundle(altered(change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
