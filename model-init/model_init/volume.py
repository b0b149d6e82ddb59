"""The volume of published bundles: `<name>/<version>/`, each immutable."""

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lookbook.model.bundle import MANIFEST, Bundle, BundleError, read_bundle

from model_init.disk import room_in, sync, sync_all
from model_init.errors import Exit, Failure

_TEMPORARY = ".publish-"


class Volume:
    """A bundle comes to stand in it whole or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """A folder for one publish; those that killed ones left behind are removed first."""
        with room_in(self.root), (self.root / ".publishing").open("ab") as lock:
            _sweep(self.root, lock.fileno())
            # Shared by all that publish, until they end or are killed.
            fcntl.flock(lock, fcntl.LOCK_SH)
            with tempfile.TemporaryDirectory(prefix=_TEMPORARY, dir=self.root) as folder:
                yield Path(folder)

    def holds(self, bundle: Bundle) -> bool:
        """Whether this very bundle stands there undamaged; where another does, that is a Failure."""
        folder = self._folder(bundle)
        try:
            standing = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
        except FileNotFoundError:
            return False
        if standing != bundle.digest:
            raise Failure(
                Exit.FAILED,
                f"{bundle.name} {bundle.version} is published with another content (digest {standing}, "
                f"not {bundle.digest}) and never changes: give yours a new version",
            )
        try:
            read_bundle(folder)
        except BundleError:
            return False
        return True

    def settle(self, draft: Path) -> tuple[Bundle, bool]:
        """Verify the draft and let it stand as its version; False where that stood already.

        A damaged one gives way to the same bundle undamaged.
        """
        bundle = read_bundle(draft)
        _refuse_others(draft, bundle)
        sync_all(draft)
        folder = self._folder(bundle)
        with (self.root / ".settling").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.holds(bundle):
                return bundle, False
            if folder.exists():
                folder.rename(draft.parent / "damaged")
            folder.parent.mkdir(exist_ok=True)
            draft.rename(folder)
            sync(folder.parent)
            sync(self.root)
        return bundle, True

    def entries(self) -> list[dict[str, Any]]:
        """What is published, verified; a damaged bundle with its error."""
        return [_entry(folder) for folder in sorted(self.root.glob("[!.]*/[!.]*")) if folder.is_dir()]

    def _folder(self, bundle: Bundle) -> Path:
        return self.root / bundle.name / bundle.version


def _sweep(root: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # another publish is under way
    for left in root.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(left)


def _refuse_others(draft: Path, bundle: Bundle) -> None:
    """Refuse files that no digest covers, and those that `serve` would not give."""
    listed = {MANIFEST, *(file.path for file in bundle.files)}
    found = {path.relative_to(draft).as_posix() for path in draft.rglob("*") if not path.is_dir()}
    for path in sorted(found - listed):
        raise Failure(Exit.FAILED, f"{path!r} is not in the manifest of {bundle.name} {bundle.version}: leave it out")
    for path in sorted(listed):
        if any(part.startswith(".") for part in path.split("/")):
            raise Failure(Exit.FAILED, f"{path!r} of {bundle.name} {bundle.version} is hidden: rename it")


def _entry(folder: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": folder.parent.name, "version": folder.name}
    try:
        bundle = read_bundle(folder)
    except BundleError as error:
        return {**entry, "error": str(error)}
    if (bundle.name, bundle.version) != (entry["name"], entry["version"]):
        return {**entry, "error": f"its manifest says {bundle.name} {bundle.version}"}
    size = (folder / MANIFEST).stat().st_size + sum(file.bytes for file in bundle.files)
    return {**entry, "digest": bundle.digest, "bytes": size, "created_at": bundle.manifest.get("created_at")}
