"""A model bundle on disk, read and verified with nothing but the standard library."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lookbook.errors import LookbookError

MANIFEST = "model.json"
MODEL = "model.tflite"

BUILD_AGAIN = "build the bundle again with `lookbook model build`"
_COPY_AGAIN = "the file is damaged or was changed: copy the bundle again"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


class BundleError(LookbookError):
    """A bundle that cannot be used. `reason` says why in one line; the message adds what to do next."""

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(f"{reason}; {advice}" if advice else reason)
        self.reason = reason


class MalformedManifestError(BundleError):
    """A bundle whose manifest cannot be parsed."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How an image becomes the model's input: resized, then (pixel / 255 - mean) / std.

    `background` (RGB, 0 to 255) shows through transparent pixels and fills what `pad` adds. A model of type "uint8"
    takes pixels and normalizes them itself.
    """

    height: int
    width: int
    color: str
    resize: str
    background: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    type: str = "float32"

    @property
    def channels(self) -> int:
        return 3 if self.color == "rgb" else 1

    def to_json(self) -> dict[str, Any]:
        return {
            "size": [self.height, self.width],
            "color": self.color,
            "resize": self.resize,
            "background": list(self.background),
            "mean": list(self.mean),
            "std": list(self.std),
            # Without the default, so that bundles of float32 keep their digests.
            **({} if self.type == "float32" else {"type": self.type}),
        }


@dataclass(frozen=True, slots=True)
class Golden:
    """An image in the bundle and the scores that the model must give it, one per label."""

    path: Path
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class File:
    """A file as the manifest describes it; `path` is relative to the bundle's folder."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as its manifest describes it; `digest` is the SHA-256 of the manifest, in hex."""

    manifest: Mapping[str, Any]
    digest: str
    name: str
    version: str
    labels: tuple[str, ...]
    input: InputSpec
    model: Path
    golden: tuple[Golden, ...]
    files: tuple[File, ...]

    @property
    def full_name(self) -> str:
        return f"{self.name}/{self.version}"


def find_bundle(folder: str) -> Path:
    """The bundle's folder: a relative one is searched in the working directory, the source tree, and the package."""
    path, package = Path(folder), Path(__file__).parent.parent
    candidates = (path, package.parent.parent / path, package / path)
    return next((candidate for candidate in candidates if candidate.exists()), path)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and verify every file in it.

    Raises BundleError for a missing or altered file and for a malformed manifest.
    """
    try:
        raw = (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        advice = f"name the folder that contains {MANIFEST} (for a server, in LOOKBOOK_MODEL)"
        raise BundleError(f"no bundle in {folder}", advice) from error
    except OSError as error:
        raise BundleError(f"{folder / MANIFEST}: {error.strerror}") from error
    bundle = parse_bundle(folder, raw)
    for file in bundle.files:
        _verify(folder / file.path, file)
    return bundle


def parse_bundle(folder: Path, raw: bytes) -> Bundle:
    """The bundle that the manifest `raw` describes; does not read its files. Raises MalformedManifestError."""
    try:
        bundle = _parse(folder, json.loads(raw), hashlib.sha256(raw).hexdigest())
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise MalformedManifestError(f"{folder / MANIFEST}: malformed manifest: {reason}", BUILD_AGAIN) from error
    listed = {folder / file.path for file in bundle.files}
    for needed in (bundle.model, *(golden.path for golden in bundle.golden)):
        if needed not in listed:
            raise MalformedManifestError(
                f"{folder / MANIFEST}: malformed manifest: no digest for {needed.name}", BUILD_AGAIN
            )
    return bundle


def check_name(name: str, version: str) -> None:
    """Raises ValueError if a bundle cannot have this name and version."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"name {name!r} must consist of lowercase letters, digits, and hyphens")
    if not _SEMVER.fullmatch(version):
        raise ValueError(f"version {version!r} is not a semantic version, such as 1.0.0")


def _parse(folder: Path, manifest: Any, digest: str) -> Bundle:
    labels = tuple(manifest["labels"])
    if len(labels) < 2 or len(set(labels)) < len(labels) or not all(isinstance(x, str) and x for x in labels):
        raise ValueError("there must be two or more labels, all different")
    name, version = manifest["name"], manifest["version"]
    check_name(name, version)
    if manifest["format"] != "tflite":
        raise ValueError(f"format {manifest['format']!r} must be 'tflite'")
    golden = tuple(
        Golden(_inside(folder, entry["file"]), tuple(float(score) for score in entry["scores"]))
        for entry in manifest["golden"]
    )
    if not golden:
        raise ValueError("it has no golden images")
    if any(len(entry.scores) != len(labels) for entry in golden):
        raise ValueError("each golden image must have one score per label")
    return Bundle(
        manifest=manifest,
        digest=digest,
        name=name,
        version=version,
        labels=labels,
        input=_parse_input(manifest["input"]),
        model=folder / MODEL,
        golden=golden,
        files=tuple(_parse_file(folder, path, entry) for path, entry in manifest["files"].items()),
    )


def _parse_file(folder: Path, path: str, entry: Mapping[str, Any]) -> File:
    relative = _inside(folder, path).relative_to(folder).as_posix()
    size, sha256 = entry["bytes"], entry["sha256"]
    if not isinstance(size, int) or size < 0 or not isinstance(sha256, str):
        raise ValueError(f"{path!r} must have a size in bytes and a sha256")
    return File(relative, size, sha256)


def _parse_input(entry: Mapping[str, Any]) -> InputSpec:
    height, width = (int(side) for side in entry["size"])
    red, green, blue = (int(value) for value in entry["background"])
    spec = InputSpec(
        height=height,
        width=width,
        color=entry["color"],
        resize=entry["resize"],
        background=(red, green, blue),
        mean=tuple(float(value) for value in entry["mean"]),
        std=tuple(float(value) for value in entry["std"]),
        type=entry.get("type", "float32"),
    )
    if spec.type not in ("float32", "uint8"):
        raise ValueError(f"type {spec.type!r} must be 'float32' or 'uint8'")
    if spec.color not in ("rgb", "grayscale"):
        raise ValueError(f"color {spec.color!r} must be 'rgb' or 'grayscale'")
    if spec.resize not in ("pad", "stretch", "crop"):
        raise ValueError(f"resize {spec.resize!r} must be 'pad', 'stretch', or 'crop'")
    if not (1 <= height <= 4096 and 1 <= width <= 4096):
        raise ValueError("height and width must be from 1 to 4096")
    if not all(0 <= value <= 255 for value in spec.background):
        raise ValueError("background must be three numbers from 0 to 255")
    if len(spec.mean) != spec.channels or len(spec.std) != spec.channels or min(spec.std) <= 0:
        raise ValueError("mean and std must have one value per channel, and std must be above 0")
    return spec


def _inside(folder: Path, path: str) -> Path:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or not path.isprintable():
        raise ValueError(f"path {path!r} must lie inside the bundle")
    return folder / pure


def _verify(path: Path, file: File) -> None:
    try:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            size = opened.tell()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from error
    if size != file.bytes:
        raise BundleError(f"{path}: {size} bytes, but the manifest says {file.bytes}", _COPY_AGAIN)
    if digest != file.sha256:
        raise BundleError(f"{path}: its SHA-256 differs from the manifest's", _COPY_AGAIN)
