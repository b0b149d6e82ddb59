"""`lookbook model`: its subcommands."""

import click

from lookbook.cli.model.build import build
from lookbook.cli.model.list import list_
from lookbook.cli.model.publish import publish


@click.group()
def model() -> None:
    """Build model bundles, publish them to a cluster, and list them."""


for command in (build, publish, list_):
    model.add_command(command)
