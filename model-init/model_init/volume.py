"""The volume of published bundles: one folder `<name>/<version>` each, which never changes.

Tests: tests/unit/model_init/test_publish.py.
"""

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookbook.model.bundle import MANIFEST, Bundle, BundleError, read_bundle

from model_init.disk import explain_full_disk, sync, sync_tree
from model_init.errors import Refused

_DRAFT = ".publish-"


@dataclass(frozen=True, slots=True)
class Published:
    """A bundle in the volume; `new` unless it was there before. As text, the line for people."""

    bundle: Bundle
    new: bool

    def __str__(self) -> str:
        name, digest = f"{self.bundle.name}/{self.bundle.version}", self.bundle.digest
        if self.new:
            return f"published {name} (digest {digest})"
        return f"{name} was already published and is intact (digest {digest})"


class Volume:
    """Bundles appear in it complete and verified, or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """A path for one bundle to write and then `install`; removes drafts of processes that were killed."""
        with explain_full_disk(self.root), (self.root / ".publishing").open("ab") as lock:
            _remove_abandoned_drafts(self.root, lock.fileno())
            # Each process that publishes holds a shared lock until it ends or is killed.
            fcntl.flock(lock, fcntl.LOCK_SH)
            with tempfile.TemporaryDirectory(prefix=_DRAFT, dir=self.root) as folder:
                yield Path(folder) / "bundle"

    def contains(self, bundle: Bundle) -> bool:
        """Whether this bundle is published and intact; raises Refused if the version is there with other content."""
        folder = self._folder(bundle)
        try:
            digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
        except FileNotFoundError:
            return False
        if digest != bundle.digest:
            raise Refused(
                f"{bundle.name} {bundle.version} is already published with different content (digest {digest}, "
                f"not {bundle.digest}), and a published version never changes: give your bundle a new version"
            )
        try:
            read_bundle(folder)
        except BundleError:
            return False
        return True

    def install(self, draft: Path) -> Published:
        """Verify the draft and move it into place; it replaces a damaged copy of the same bundle."""
        bundle = read_bundle(draft)
        _check_files(draft, bundle)
        sync_tree(draft)
        folder = self._folder(bundle)
        with (self.root / ".settling").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.contains(bundle):
                return Published(bundle, new=False)
            if folder.exists():
                folder.rename(draft.parent / "damaged")
            folder.parent.mkdir(exist_ok=True)
            draft.rename(folder)
            sync(folder.parent)
            sync(self.root)
        return Published(bundle, new=True)

    def entries(self) -> list[dict[str, Any]]:
        """What is published, verified; a damaged bundle with its error."""
        return [_entry(folder) for folder in sorted(self.root.glob("[!.]*/[!.]*")) if folder.is_dir()]

    def _folder(self, bundle: Bundle) -> Path:
        return self.root / bundle.name / bundle.version


def _remove_abandoned_drafts(root: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # another process is publishing
    for draft in root.glob(f"{_DRAFT}*"):
        shutil.rmtree(draft)


def _check_files(draft: Path, bundle: Bundle) -> None:
    """Refuse files that no digest covers, and hidden ones, which `serve` does not serve."""
    listed = {MANIFEST, *(file.path for file in bundle.files)}
    found = {path.relative_to(draft).as_posix() for path in draft.rglob("*") if not path.is_dir()}
    for path in sorted(found - listed):
        raise Refused(f"{path!r} is not in the manifest of {bundle.name} {bundle.version}: remove it")
    for path in sorted(listed):
        if any(part.startswith(".") for part in path.split("/")):
            raise Refused(f"{path!r} in {bundle.name} {bundle.version} is a hidden file: rename it")


def _entry(folder: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": folder.parent.name, "version": folder.name}
    try:
        bundle = read_bundle(folder)
    except BundleError as error:
        return {**entry, "error": str(error)}
    if (bundle.name, bundle.version) != (entry["name"], entry["version"]):
        other = f"{bundle.name}/{bundle.version}"
        return {**entry, "error": f"the manifest is for {other}: move the bundle to {other}"}
    size = (folder / MANIFEST).stat().st_size + sum(file.bytes for file in bundle.files)
    return {**entry, "digest": bundle.digest, "bytes": size, "created_at": bundle.manifest.get("created_at")}
