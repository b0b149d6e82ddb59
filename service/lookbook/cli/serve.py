"""`lookbook serve`: the HTTP service."""

import os
import textwrap

import click

from lookbook.cli import output
from lookbook.settings import Settings, table


def _settings_help() -> str:
    lines = []
    for name, default, help in table():
        lines.append(f"{name}  (default: {default or 'none'})")
        lines.append(textwrap.fill(help, 76, initial_indent="    ", subsequent_indent="    "))
    return "\b\nSettings, read from environment variables:\n" + "\n".join(lines)


@click.command(epilog=_settings_help())
def serve() -> None:
    """Classify images over HTTP and store every prediction."""
    # Imported here: the other commands start faster without it.
    from lookbook.server import process, reload

    settings = Settings.from_environment(os.environ)
    if not settings.tokens_file:
        output.complain(
            f"LOOKBOOK_TOKENS_FILE is not set: anyone who can reach {settings.bind} can read and write predictions"
        )
    if settings.reload:
        reload.run({**os.environ, "LOOKBOOK_RELOAD": "false"})
    process.run(settings)
