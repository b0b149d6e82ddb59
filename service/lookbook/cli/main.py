"""The `lookbook` command."""

import os
import sys
import textwrap
from contextlib import suppress
from typing import Any

import click

from lookbook import __version__
from lookbook.cli.classify import classify
from lookbook.cli.completion import completion
from lookbook.cli.history import history
from lookbook.cli.model import model
from lookbook.cli.output import printable
from lookbook.cli.schema import schema
from lookbook.errors import LookbookError
from lookbook.settings import Settings, table

INTERRUPTED = 130


class _Commands(click.Group):
    """Commands whose errors end here: each in one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            with suppress(OSError):
                sys.stdout.flush()
            # Not sys.exit(): it would wait for threads in the middle of a request.
            os._exit(INTERRUPTED)
        except LookbookError as error:
            print(f"lookbook: {printable(str(error))}", file=sys.stderr)
            sys.exit(error.exit_code)


def _settings_help() -> str:
    lines = []
    for name, default, help in table():
        lines.append(f"{name}  (default: {default or 'none'})")
        lines.append(textwrap.indent(help, "    "))
    return "\b\nSettings, from the environment:\n" + "\n".join(lines)


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="lookbook")
def main() -> None:
    """Classify pictures and keep every answer."""
    for number, name in enumerate(("stdout", "stderr"), 1):
        if getattr(sys, name) is None:
            # Closed by who called: it leads nowhere, and so does what would be opened next under its number.
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, open(number, "w"))  # noqa: SIM115
        # A picture's name may have characters that the terminal's encoding lacks.
        getattr(sys, name).reconfigure(errors="backslashreplace")


for command in (classify, history, model, schema, completion):
    main.add_command(command)


@main.command(epilog=_settings_help())
def serve() -> None:
    """Serve pictures' classes over HTTP."""
    # Imported here: the other commands start faster without.
    from lookbook.server import process, reload

    settings = Settings.from_environment(os.environ)
    if not settings.tokens_file:
        print(
            f"lookbook: LOOKBOOK_TOKENS_FILE is not set: anyone who can reach {settings.bind} can read and write",
            file=sys.stderr,
        )
    if settings.reload:
        reload.run({**os.environ, "LOOKBOOK_RELOAD": "false"})
    process.run(settings)
