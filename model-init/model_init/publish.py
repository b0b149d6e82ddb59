"""A bundle's way from a folder into the volume."""

from pathlib import Path

from lookbook.model.bundle import MANIFEST, Bundle, read_bundle

from model_init.disk import blocks_of, save
from model_init.volume import Volume


def bundles_in(folder: Path) -> list[Path]:
    """The folder itself, or the bundles at `<name>/<version>` in it."""
    found = [] if (folder / MANIFEST).exists() else [path.parent for path in folder.glob(f"*/*/{MANIFEST}")]
    return sorted(found) or [folder]


def publish(source: Path, volume: Volume) -> tuple[Bundle, bool]:
    """Copy and verify the bundle; False where it stood there already."""
    bundle = read_bundle(source)
    if volume.holds(bundle):
        return bundle, False
    with volume.temporary() as folder:
        draft = folder / "bundle"
        sizes = {file.path: file.bytes for file in bundle.files}
        for path in (*sizes, MANIFEST):
            original = source / path
            save(blocks_of(original), draft / path, sizes.get(path, original.stat().st_size))
        return volume.settle(draft)


def told(bundle: Bundle, new: bool) -> str:
    """The line for a person: which version, and the digest to pin."""
    ending = "" if new else " (stood there already; verified)"
    return f"published {bundle.name}/{bundle.version} digest {bundle.digest}{ending}"
