"""Pulls a verified bundle into a pod's folder."""

import hashlib
import json
import shutil
from pathlib import Path

from lookbook.model.bundle import MANIFEST

from model_init.disk import explain_full_disk, sync, sync_tree
from model_init.download import BundleReference, download

READY = "READY"


def pull(reference: BundleReference, into: Path, wait: float) -> str:
    """Put the bundle into `into`/bundle and then, last of all, its digest into `into`/READY; returns a line for people.

    Waits up to `wait` seconds for a source that is unreachable or does not have the bundle yet.
    """
    if _is_ready(reference, into):
        return "already pulled"
    with explain_full_disk(into):
        (into / READY).unlink(missing_ok=True)
        draft = into / ".pull"
        digest = download(reference, draft, wait)
        sync_tree(draft)
        shutil.rmtree(into / "bundle", ignore_errors=True)
        draft.rename(into / "bundle")
        sync(into)
        _mark_ready(into, digest)
    return f"pulled {reference} (digest {digest})"


def _mark_ready(into: Path, digest: str) -> None:
    draft = into / f".{READY}"
    draft.write_text(digest)
    sync(draft)
    draft.rename(into / READY)


def _is_ready(reference: BundleReference, into: Path) -> bool:
    """Checks only the manifest: the service verifies every file when it loads the bundle."""
    try:
        ready = (into / READY).read_text()
        raw = (into / "bundle" / MANIFEST).read_bytes()
        manifest = json.loads(raw)
    except (OSError, ValueError):
        return False
    return (
        hashlib.sha256(raw).hexdigest() == ready
        and ready == (reference.digest or ready)
        and (manifest["name"], manifest["version"]) == (reference.name, reference.version)
    )
