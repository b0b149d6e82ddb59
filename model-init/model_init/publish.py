"""Publishes a bundle from a folder."""

from pathlib import Path

from lookbook.model.bundle import MANIFEST, read_bundle

from model_init.disk import read_file, write_file
from model_init.volume import Published, Volume


def find_bundles(folder: Path) -> list[Path]:
    """The folder itself if it is a bundle, else the bundles at `<name>/<version>` in it."""
    found = [] if (folder / MANIFEST).exists() else [path.parent for path in folder.glob(f"*/*/{MANIFEST}")]
    return sorted(found) or [folder]


def publish(source: Path, volume: Volume) -> Published:
    """Copy the files that the manifest lists into the volume, and verify the copy."""
    bundle = read_bundle(source)
    if volume.contains(bundle):
        return Published(bundle, new=False)
    with volume.draft() as draft:
        sizes = {MANIFEST: (source / MANIFEST).stat().st_size} | {file.path: file.bytes for file in bundle.files}
        for path, size in sizes.items():
            write_file(draft / path, read_file(source / path), size)
        return volume.install(draft)
