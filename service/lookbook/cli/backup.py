"""`lookbook backup` and `lookbook restore`: everything in the store, to a file and back."""

import os
from contextlib import closing
from pathlib import Path

import click

from lookbook.settings import Settings

_BATCH_ROWS = 200


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    help="After the backup, delete all backups in the folder except the newest N.  [default: delete none]",
)
def backup(folder: Path, keep: int | None) -> None:
    """Write everything in the store to a new file in FOLDER.

    LOOKBOOK_* environment variables name the store, as for `lookbook serve`. Servers can keep using it.
    """
    # Imported here: the other commands start faster without it.
    from lookbook.backup import remove_old_backups, write_backup
    from lookbook.store.opening import open_tables

    settings = Settings.from_environment(os.environ)
    with closing(open_tables(settings)) as tables:
        path, count = write_backup(folder, settings.store, tables.read())
    if keep:
        remove_old_backups(folder, keep)
    print(f"backup: {count} rows in {path}")


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
def restore(path: Path) -> None:
    """Add a backup to the store.

    PATH is a backup, or a folder whose newest backup is used. The whole backup is checked first. What is in the store
    stays, so you can run this again, and servers can keep using the store.
    """
    # Imported here: the other commands start faster without it.
    from lookbook.backup import check_backup, newest_backup, read_backup
    from lookbook.store.opening import open_tables

    settings = Settings.from_environment(os.environ)
    path = newest_backup(path)
    count = check_backup(path, settings.store)
    with closing(open_tables(settings)) as tables:
        batch = []
        for row in read_backup(path):
            batch.append(row)
            if len(batch) == _BATCH_ROWS:
                tables.write(batch)
                batch = []
        tables.write(batch)
    print(f"restore: {count} rows from {path}")
