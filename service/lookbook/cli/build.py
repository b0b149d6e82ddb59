"""`lookbook model build`: a bundle of anybody's Keras classifier."""

from pathlib import Path
from types import ModuleType

import click

from lookbook import images as pictures
from lookbook.build.pixels import RANGES
from lookbook.errors import LookbookError
from lookbook.model.bundle import BundleError, check_name, find_bundle
from lookbook.model.quiet import quiet
from lookbook.settings import Settings

RESIZES = ("stretch", "pad", "crop")


@click.command()
@click.argument("model", metavar="MODEL.keras", type=click.Path(path_type=Path))
@click.option("--labels", required=True, type=click.Path(path_type=Path), help="Text file, a label a line, in order.")
@click.option("--name", required=True, help="Lower-case letters, digits and hyphens.")
@click.option("--version", required=True, help="Such as 1.0.0.")
@click.option(
    "--input",
    "pixels",
    type=click.Choice(tuple(RANGES)),
    help="What the model takes for black to white  [default: what its first layer tells, else 0..1]",
)
@click.option(
    "--resize", type=click.Choice(RESIZES), default="stretch", show_default=True, help="How pictures get its size."
)
@click.option(
    "--pictures",
    "folder",
    type=click.Path(exists=True, file_okay=False),
    help="Folder of pictures to compare with Keras; five go into the bundle  [default: the shipped bundle's]",
)
@click.option("--license", "licence", default="not stated", help="Of the model.")
@click.option("--out", type=click.Path(path_type=Path), default="models", show_default=True, help="Folder of bundles.")
def build(
    model: Path,
    labels: Path,
    name: str,
    version: str,
    pixels: str | None,
    resize: str,
    folder: str | None,
    licence: str,
    out: Path,
) -> None:
    """Make a bundle of a Keras 3 classifier, as OUT/NAME/VERSION.

    The model takes one picture, grey or in colour, and gives a score for each label, by softmax or as logits. It may
    consist of Keras's own layers alone: nobody's code is run.
    """
    target = out / name / version
    try:
        check_name(name, version)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if target.exists():
        raise BundleError(f"{target} is there already, and a bundle never changes: choose another --version")
    words = _read_labels(labels)
    found = list(pictures.find([folder or str(find_bundle(Settings().model) / "golden")]))
    if not found:
        raise BundleError(f"no pictures in {folder}")
    builder = _builder()
    source = builder.Source(model, words, pixels, resize)
    try:
        for line in builder.build(source, name, version, licence, found, target):
            click.echo(line)
    except OSError as error:
        raise BundleError(f"{target} can't be written: {error}") from error
    click.echo(f"try it: lookbook classify --bundle {target} PICTURE")


def _read_labels(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from error
    labels = [line.strip() for line in lines if line.strip()]
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise BundleError(f"{path}: two or more different labels are needed, a line each")
    return labels


def _builder() -> ModuleType:
    # Imported only here: it takes seconds, and is no part of serving.
    try:
        with quiet():
            import lookbook.build.builder
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("keras", "tensorflow"):
            raise
        raise LookbookError('this command needs Keras and TensorFlow: pip install "lookbook[training]"') from error
    builder: ModuleType = lookbook.build.builder
    return builder
