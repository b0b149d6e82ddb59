"""`lookbook batch`: images by the million, on Spark."""

import click

from lookbook.cli.batch.classify import classify
from lookbook.cli.batch.list import list_
from lookbook.cli.batch.replay import replay
from lookbook.cli.batch.stop import stop


@click.group()
def batch() -> None:
    """Classify many images with Spark, or compare models on them.

    Spark takes half a minute to start. For fewer than about ten thousand images, `lookbook classify` is faster.
    """


for command in (classify, replay, list_, stop):
    batch.add_command(command)
