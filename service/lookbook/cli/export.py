"""`lookbook export` and `lookbook import`: the predictions of a store as files, and back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

from lookbook.cli import output
from lookbook.cli.extras import extra
from lookbook.cli.options import period_options
from lookbook.errors import LookbookError
from lookbook.prediction import first_id

# Everything else is imported where it is needed, because the other commands start faster without numpy.
if TYPE_CHECKING:
    from lookbook.store import Store
    from lookbook.store.rows import Rows


@click.command()
@click.argument("file", metavar="[FILE.parquet]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--images",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Instead of a file, write the judged images to this new or empty folder, to train on.",
)
@period_options("predictions")
def export(file: Path | None, images: Path | None, since: str | None, until: str | None) -> None:
    """Export predictions to Parquet, or judged images to a folder.

    Both are read straight from the store that LOOKBOOK_* environment variables name, newest first. The server can
    keep running.

    FILE.parquet is replaced once everything is written. Any tool that reads Parquet can open it, such as DuckDB,
    Polars, pandas, or Spark. Its columns are created_at (UTC), id, file_name, label, score, top, model_name,
    model_version, ground_truth, and judgments. This needs the extra "parquet" of the package.

    With --images, each image whose ground truth is a label is written to FOLDER/LABEL/ID with the suffix .png, .jpg, or
    .webp, and listed in FOLDER/index.csv. Its columns are path, label, and sender_id. Training keeps images of one
    sender together; the sender of these is not known, so sender_id is the prediction's ID. Keras's
    image_dataset_from_directory and `lookbook model build --images` read such a folder. LOOKBOOK_KEEP and
    LOOKBOOK_KEEP_DAYS say which images the server keeps, and for how long.
    """
    if (file is None) == (images is None):
        raise click.UsageError("name either FILE.parquet or --images FOLDER")
    if file and file.suffix.lower() != ".parquet":
        raise click.UsageError(f"{str(file)!r} does not end in .parquet, the only format")
    from lookbook.cli.store import opened_store
    from lookbook.store.rows import scan_patiently

    with opened_store() as store:
        batches = scan_patiently(store.scan, _first_id(since), _first_id(until))
        if images:
            _export_images(images, batches, store)
        elif file:
            _export_file(file, batches)


@click.command("import")
@click.argument("file", metavar="FILE.parquet", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(file: Path) -> None:
    """Import a file from `lookbook export` into an empty store.

    The store is the one that LOOKBOOK_* environment variables name. Predictions keep their IDs, times, order, and
    ground truths; the file has no thumbnails, images, or samples. The whole file is checked before the first prediction
    is written. You can repeat an import that was interrupted: a store that is not empty is accepted if the file has all
    of its predictions.

    This command needs the extra "parquet" of the package.
    """
    with extra("parquet", "pyarrow"):
        from lookbook.export.parquet import read_parquet
    from lookbook.cli.store import opened_store
    from lookbook.export.importing import check, load

    with opened_store(create=True) as store:
        check(store, read_parquet(file))
        count = load(store, read_parquet(file))
    print(f"{file}: {_counted(count, 'prediction')}")


def _export_file(file: Path, batches: "Iterator[Rows]") -> None:
    with extra("parquet", "pyarrow"):
        from lookbook.export.parquet import write_parquet

    with _writing(file):
        count = write_parquet(file, batches)
    print(f"{file}: {_counted(count, 'prediction')}")


def _export_images(folder: Path, batches: "Iterator[Rows]", store: "Store") -> None:
    from lookbook.export.images import write_images

    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise LookbookError(f"{folder} is not empty: name a new folder, so that no older image stays in it")
        counts = write_images(folder, batches, store)
    print(f"{folder}: {_counted(counts.written, 'image')}")
    if counts.unclear:
        output.complain(f"left out {_counted(counts.unclear, 'judged image')} whose ground truth is unclear")
    if counts.without_image:
        output.complain(
            f"left out {_counted(counts.without_image, 'judged prediction')} whose image is not in the store, or was "
            "sent as an FP32 tensor; LOOKBOOK_KEEP and LOOKBOOK_KEEP_DAYS say which images are kept"
        )


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LookbookError(f"cannot write {path}: {error.strerror or error}") from error


def _first_id(moment: str | None) -> UUID | None:
    return first_id(datetime.fromisoformat(moment)) if moment else None


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
