"""`lookbook serve`: the HTTP server."""

import os

import click

from lookbook.cli import output
from lookbook.settings import Settings, table


class _Command(click.Command):
    """Explains the settings below the options."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Settings, read from environment variables"):
            for name, default, help in table():
                formatter.write_text(f"{name}  (default: {default or 'none'})")
                with formatter.indentation():
                    formatter.write_text(help)


@click.command(cls=_Command)
def serve() -> None:
    """Classify images over HTTP and store every prediction."""
    # Imported here: the other commands start faster without it.
    from lookbook.server import process, reload, stderr

    stderr.install()
    settings = Settings.from_environment(os.environ)
    if not settings.tokens_file:
        output.complain(
            f"LOOKBOOK_TOKENS_FILE is not set: anyone who can reach {settings.bind} can read, add, and delete "
            "predictions"
        )
    if settings.reload:
        reload.run({**os.environ, "LOOKBOOK_RELOAD": "false"})
    process.run(settings)
