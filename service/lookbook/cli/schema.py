"""`lookbook schema`: Cassandra's keyspace and tables."""

import os
import time

import click

from lookbook.cli import output
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
    help="How long to wait for Cassandra to become available.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Change nothing: wait until the tables exist, and check that they were created with this LOOKBOOK_RETENTION.",
)
def schema(wait: int, check: bool) -> None:
    """Create or update Cassandra's keyspace and tables.

    You can run it again at any time. Set LOOKBOOK_CASSANDRA_* environment variables to say where Cassandra is;
    `lookbook serve --help` lists them.
    """
    # Imported here: the other commands start faster without the driver.
    from lookbook.store.cassandra.cluster import DRIVER_ERRORS
    from lookbook.store.cassandra.schema import check_cassandra, set_up_cassandra

    settings = Settings.from_environment(os.environ)
    deadline = time.monotonic() + wait
    reported = ""
    while True:
        try:
            (check_cassandra if check else set_up_cassandra)(settings)
            break
        except (*DRIVER_ERRORS, StoreUnavailable) as error:
            reason = " ".join(str(error).split())
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"schema: gave up after {wait} s: {reason}; check LOOKBOOK_CASSANDRA_* and run it again"
                ) from error
        if reason != reported:
            output.complain(f"schema: waiting for Cassandra: {reason}")
            reported = reason
        time.sleep(_PAUSE_SECONDS)
    print(f"schema: keyspace {settings.cassandra_keyspace} is up to date")
