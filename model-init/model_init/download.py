"""Downloads a bundle from where it is published, and verifies it. Tests: tests/unit/model_init/test_pull.py."""

import hashlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from lookbook.errors import LookbookError
from lookbook.model.bundle import MANIFEST, BundleError, MalformedManifestError, parse_bundle, read_bundle

from model_init.disk import write_file
from model_init.errors import BundleNotFound, DigestMismatch, MalformedManifest, TimedOut
from model_init.source import FileMissing, Source, SourceUnreachable, is_url, open_source

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds between attempts
MAX_MANIFEST = 4 * 1024 * 1024
_PUBLISH_A_VALID_ONE = "publish a valid bundle under a new version"


@dataclass(frozen=True, slots=True)
class BundleReference:
    """A bundle, and the URL or folder where it is published. Without a digest, any content is accepted."""

    location: str
    name: str
    version: str
    digest: str | None

    @property
    def folder(self) -> str:
        return f"{self.name}/{self.version}"

    def __str__(self) -> str:
        return f"{self.name} {self.version} at {self.location}"

    @property
    def how_to_publish(self) -> str:
        if is_url(self.location):
            return 'publish it with "lookbook model publish"'
        return f"copy the bundle to {self.location}/{self.folder}"


def download(reference: BundleReference, draft: Path, wait: float) -> str:
    """Write the verified bundle to `draft`; returns its digest.

    Tries again for up to `wait` seconds while the source is unreachable or does not have the bundle.
    """
    _fetch_with_retries(reference, draft, wait)
    try:
        return read_bundle(draft).digest
    except BundleError as error:
        raise _invalid(error, reference, draft) from error


def _fetch_with_retries(reference: BundleReference, draft: Path, wait: float) -> None:
    source = open_source(reference.location)
    deadline = time.monotonic() + wait
    pause = FIRST_PAUSE
    while True:
        shutil.rmtree(draft, ignore_errors=True)
        try:
            return _fetch(source, reference, draft)
        except (FileMissing, SourceUnreachable) as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise _gave_up(error, reference, wait) from error
            if pause == FIRST_PAUSE:
                print(f"waiting up to {wait:g} s for {reference}", flush=True)
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)


def _gave_up(error: FileMissing | SourceUnreachable, reference: BundleReference, wait: float) -> LookbookError:
    if isinstance(error, SourceUnreachable):
        advice = (
            "it is running and that the network policies allow the connection"
            if is_url(reference.location)
            else "the volume is mounted and readable"
        )
        return TimedOut(f"{reference.location} was not reachable for {wait:g} s ({error}): check that {advice}")
    if str(error) == f"{reference.folder}/{MANIFEST}":
        return BundleNotFound(f"no {reference} after {wait:g} s: {reference.how_to_publish}")
    path = str(error).removeprefix(f"{reference.folder}/")
    return BundleNotFound(f"{reference}: the bundle has no file {path} after {wait:g} s: {reference.how_to_publish}")


def _fetch(source: Source, reference: BundleReference, draft: Path) -> None:
    """Download the files that the pinned manifest lists, none larger than the manifest says."""
    raw = _fetch_manifest(source, reference, draft)
    try:
        bundle = parse_bundle(draft, raw)
        if (bundle.name, bundle.version) != (reference.name, reference.version):
            raise MalformedManifestError(f"the manifest is for {bundle.name} {bundle.version}")
        for file in bundle.files:
            write_file(draft / file.path, source.read(f"{reference.folder}/{file.path}"), file.bytes)
    except BundleError as error:
        raise _invalid(error, reference, draft) from error


def _fetch_manifest(source: Source, reference: BundleReference, draft: Path) -> bytes:
    manifest = draft / MANIFEST
    try:
        write_file(manifest, source.read(f"{reference.folder}/{MANIFEST}"), MAX_MANIFEST)
    except BundleError as error:
        raise MalformedManifest(f"{reference}: the manifest is too large: {_PUBLISH_A_VALID_ONE}") from error
    raw = manifest.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    if reference.digest and digest != reference.digest:
        raise DigestMismatch(
            f"{reference} has digest {digest}, not the pinned {reference.digest}: "
            "find out who replaced it; if it is the one you want, set model.digest to its digest"
        )
    return raw


def _invalid(error: BundleError, reference: BundleReference, draft: Path) -> LookbookError:
    reason = error.reason.removeprefix(f"{draft}/")
    if isinstance(error, MalformedManifestError):
        return MalformedManifest(f"{reference}: {reason}: {_PUBLISH_A_VALID_ONE}")
    return DigestMismatch(f"{reference}: {reason}: {reference.how_to_publish} again")
