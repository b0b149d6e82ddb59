"""A bundle's way from where it is published into a pod's folder."""

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from lookbook.model.bundle import MANIFEST, BundleError, MalformedManifestError, parse_bundle, read_bundle

from model_init.disk import room_in, save, sync, sync_all
from model_init.errors import Exit, Failure
from model_init.source import Absent, FolderSource, HttpSource, Unreachable, source_at

READY = "READY"
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
_SOUND = "publish a sound bundle under a new version"
MAX_MANIFEST = 4 * 1024 * 1024


@dataclass(frozen=True)
class Wanted:
    """Which bundle, and from where; no digest: whatever is published under that version."""

    place: str
    name: str
    version: str
    digest: str | None

    @property
    def folder(self) -> str:
        return f"{self.name}/{self.version}"

    def __str__(self) -> str:
        return f"{self.name} {self.version} at {self.place}"

    @property
    def remedy(self) -> str:
        if self.place.startswith("http://"):
            return 'publish it with "lookbook model publish"'
        return f"copy the bundle to {self.place}/{self.folder}"


def pull(wanted: Wanted, into: Path, wait: float) -> str:
    """Put the verified bundle into `into`/bundle and its digest, last of all, into `into`/READY.

    Waits up to `wait` seconds for a source that can't be reached or has no such version yet.
    """
    if _is_ready(wanted, into):
        return "ready already"
    with room_in(into):
        (into / READY).unlink(missing_ok=True)
        draft = into / ".pull"
        _fetch_patiently(wanted, draft, wait)
        digest = _verify(wanted, draft)
        sync_all(draft)
        shutil.rmtree(into / "bundle", ignore_errors=True)
        draft.rename(into / "bundle")
        sync(into)
        (into / f".{READY}").write_text(digest)
        sync(into / f".{READY}")
        (into / f".{READY}").rename(into / READY)
    return f"pulled {wanted} digest {digest}"


def _is_ready(wanted: Wanted, into: Path) -> bool:
    """Only the manifest is looked at: the service verifies every file before it serves."""
    try:
        ready = (into / READY).read_text()
        raw = (into / "bundle" / MANIFEST).read_bytes()
        manifest = json.loads(raw)
    except (OSError, ValueError):
        return False
    return (
        hashlib.sha256(raw).hexdigest() == ready
        and ready == (wanted.digest or ready)
        and (manifest["name"], manifest["version"]) == (wanted.name, wanted.version)
    )


def _fetch_patiently(wanted: Wanted, draft: Path, wait: float) -> None:
    source = source_at(wanted.place)
    deadline = time.monotonic() + wait
    pause = FIRST_PAUSE
    while True:
        shutil.rmtree(draft, ignore_errors=True)
        try:
            return _fetch(source, wanted, draft)
        except (Absent, Unreachable) as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise _given_up(error, wanted, wait) from error
            if pause == FIRST_PAUSE:
                print(f"waiting up to {wait:g} s for {wanted}", flush=True)
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)


def _given_up(error: Absent | Unreachable, wanted: Wanted, wait: float) -> Failure:
    if isinstance(error, Unreachable):
        return Failure(
            Exit.TIMED_OUT, f"{wanted.place} not reached for {wait:g} s ({error}): see that it runs and lets us in"
        )
    if str(error) == f"{wanted.folder}/{MANIFEST}":
        return Failure(Exit.NOT_FOUND, f"no {wanted} after {wait:g} s: {wanted.remedy}")
    return Failure(Exit.NOT_FOUND, f"{wanted} lacks {error} after {wait:g} s: {wanted.remedy}")


def _fetch(source: HttpSource | FolderSource, wanted: Wanted, draft: Path) -> None:
    """Fetch the files that the pinned manifest lists, none larger than it says."""
    manifest = draft / MANIFEST
    try:
        save(source.blocks(f"{wanted.folder}/{MANIFEST}"), manifest, MAX_MANIFEST)
    except BundleError as error:
        raise Failure(Exit.MALFORMED_MANIFEST, f"{wanted}: its manifest is too large: {_SOUND}") from error
    raw = manifest.read_bytes()
    _compare(hashlib.sha256(raw).hexdigest(), wanted)
    try:
        bundle = parse_bundle(draft, raw)
        if (bundle.name, bundle.version) != (wanted.name, wanted.version):
            raise MalformedManifestError(f"its manifest says {bundle.name} {bundle.version}")
        for file in bundle.files:
            save(source.blocks(f"{wanted.folder}/{file.path}"), draft / file.path, file.bytes)
    except BundleError as error:
        raise _refused(error, wanted, draft) from error


def _verify(wanted: Wanted, draft: Path) -> str:
    try:
        return read_bundle(draft).digest
    except BundleError as error:
        raise _refused(error, wanted, draft) from error


def _compare(digest: str, wanted: Wanted) -> None:
    if wanted.digest and digest != wanted.digest:
        raise Failure(
            Exit.DIGEST_MISMATCH,
            f"{wanted} has digest {digest}, not the pinned {wanted.digest}: "
            "find out who swapped it, or pin model.digest anew if that is the one you want",
        )


def _refused(error: BundleError, wanted: Wanted, draft: Path) -> Failure:
    malformed = isinstance(error, MalformedManifestError)
    reason = str(error).removeprefix(f"{draft}/")
    return Failure(
        Exit.MALFORMED_MANIFEST if malformed else Exit.DIGEST_MISMATCH,
        f"{wanted}: {reason}: {_SOUND if malformed else wanted.remedy + ' again'}",
    )
