"""`lookbook schema`: Cassandra's keyspace and tables."""

import os
import sys
import time

import click

from lookbook.errors import StoreUnavailable
from lookbook.settings import Settings

_PAUSE_SECONDS = 2


@click.command()
@click.option(
    "--wait",
    type=click.IntRange(0),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for Cassandra.",
)
def schema(wait: int) -> None:
    """Create or update Cassandra's keyspace and tables.

    Safe to run again. The LOOKBOOK_CASSANDRA_* variables say where Cassandra is; `lookbook serve --help` lists them.
    """
    # Imported here: the other commands start faster without the driver.
    from lookbook.store.cassandra.cluster import DRIVER_ERRORS
    from lookbook.store.cassandra.schema import set_up_cassandra

    settings = Settings.from_environment(os.environ)
    deadline = time.monotonic() + wait
    said = ""
    while True:
        try:
            set_up_cassandra(settings)
            break
        except (*DRIVER_ERRORS, StoreUnavailable) as error:
            reason = " ".join(str(error).split())
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"schema: {reason}") from error
        if reason != said:
            print(f"lookbook: schema: waiting for Cassandra: {reason}", file=sys.stderr)
            said = reason
        time.sleep(_PAUSE_SECONDS)
    print(f"schema: keyspace {settings.cassandra_keyspace} is up to date")
