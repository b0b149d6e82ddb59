"""The `lookbook` command: its subcommands, and exit codes for their errors."""

import os
import sys
from contextlib import suppress
from typing import Any

import click

from lookbook import __version__
from lookbook.cli import output
from lookbook.cli.backup import backup, restore
from lookbook.cli.batch import batch
from lookbook.cli.classify import classify
from lookbook.cli.completion import completion
from lookbook.cli.evaluate import evaluate
from lookbook.cli.export import export, import_
from lookbook.cli.history import history
from lookbook.cli.model import model
from lookbook.cli.replay import replay
from lookbook.cli.review import review
from lookbook.cli.schema import schema
from lookbook.cli.serve import serve
from lookbook.errors import LookbookError

INTERRUPTED = 130


class _Commands(click.Group):
    """Prints an error as one line and turns it into an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            with suppress(OSError):
                sys.stdout.flush()
            # Not sys.exit(): it would wait for threads that are in the middle of a request.
            os._exit(INTERRUPTED)
        except LookbookError as error:
            output.complain(str(error))
            sys.exit(error.exit_code)


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="lookbook")
def main() -> None:
    """Classify images, serve a model, and list, judge, and export stored predictions."""
    output.prepare_streams()


for command in (
    classify,
    batch,
    history,
    evaluate,
    review,
    replay,
    model,
    schema,
    serve,
    backup,
    restore,
    export,
    import_,
    completion,
):
    main.add_command(command)
