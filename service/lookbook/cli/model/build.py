"""`lookbook model build`: a bundle from a Keras model. The work is done in `lookbook.build`."""

from pathlib import Path
from typing import Any

import click

from lookbook import images
from lookbook.build.labeled import true_labels
from lookbook.build.source import RANGES, RESIZES, Source, read_labels, told_apart
from lookbook.cli.extras import extra
from lookbook.model.bundle import BundleError, check_name, find_bundle
from lookbook.model.quiet import quiet
from lookbook.settings import Settings


@click.command()
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.option(
    "--labels",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="Text file with one label per line, in the order of the model's outputs; two for a model with one sigmoid.",
)
@click.option("--name", required=True, help="Name of the bundle: lowercase letters, digits, and hyphens.")
@click.option("--version", required=True, help="Semantic version of the bundle, such as 1.0.0.")
@click.option(
    "--input",
    "pixels",
    type=click.Choice(tuple(RANGES)),
    help="Pixel range that the model expects.  [default: detected; required if it is not certain]",
)
@click.option(
    "--resize",
    type=click.Choice(RESIZES),
    default="stretch",
    show_default=True,
    help="How images are resized to the model's input.",
)
@click.option(
    "--images",
    "folder",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False),
    help="Folder of images on which the bundle is compared with Keras; five of them become part of the bundle. If they "
    "are in folders named after their labels, or index.csv has the columns path and label, the accuracy with each "
    "pixel range is measured.  [default: the golden images of the default bundle]",
)
@click.option("--pictures", "folder", hidden=True, type=click.Path(exists=True, file_okay=False))
@click.option("--license", default="not stated", show_default=True, help="License of the model.")
@click.option(
    "--out",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    default="models",
    show_default=True,
    help="Folder of bundles, in which NAME/VERSION is created.",
)
def build(labels: Path, folder: str | None, out: Path, **given: Any) -> None:
    """Build a bundle from an image classifier saved by Keras.

    MODEL is a .keras or .h5 file. The model takes one color or grayscale image and returns one score per label, as
    softmax or logits, or one sigmoid for two labels. It may use only Keras's own layers: no custom Python code is run.
    """
    try:
        check_name(given["name"], given["version"])
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    repeated = read_labels(labels)
    unique = told_apart(repeated)
    found = _images(folder)
    truth = true_labels(Path(folder), found, unique) if folder else {}
    source = Source(labels=unique, images=found, truth=truth, **given)
    target = out / source.name / source.version
    if target.exists():
        raise BundleError(f"{target} already exists and a bundle never changes: choose another --version")
    # Imported here: it takes seconds, and serving does not need it.
    with extra("training", "keras", "tensorflow"), quiet():
        from lookbook.build import builder
    for number, (label, name) in enumerate(zip(repeated, unique, strict=True), 1):
        if label != name:
            click.echo(f"label {number} is now {name}, because an earlier label is {label}, too")
    try:
        for line in builder.build(source, target):
            click.echo(line)
    except OSError as error:
        raise BundleError(f"cannot write {target}: {error.strerror or error}") from error
    click.echo(f"try it: lookbook classify --bundle {target} IMAGE")


def _images(folder: str | None) -> list[str]:
    folder = folder or str(find_bundle(Settings().model) / "golden")
    found = list(images.find([folder]))
    if not found:
        raise BundleError(f"no JPEG, PNG, or WebP images in {folder}")
    return found
