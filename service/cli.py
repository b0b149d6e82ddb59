"""The `lookbook` command."""

import os
import sys
import textwrap

import click

from service import reload, server
from service.model import model
from service.settings import Settings, SettingsError, table


def _settings_help() -> str:
    lines = []
    for name, default, help in table():
        lines.append(f"{name}  (default: {default or 'none'})")
        lines.append(textwrap.indent(help, "    "))
    return "\b\nSettings, from the environment:\n" + "\n".join(lines)


@click.group()
def main() -> None:
    """Classify pictures and keep every answer."""


main.add_command(model)


@main.command(epilog=_settings_help())
def serve() -> None:
    """Serve pictures' classes over HTTP."""
    try:
        settings = Settings.from_environment(os.environ)
        if not settings.tokens_file:
            print(
                f"lookbook: no LOOKBOOK_TOKENS_FILE: anybody who reaches {settings.bind} may read and write",
                file=sys.stderr,
            )
        if settings.reload:
            reload.run({**os.environ, "LOOKBOOK_RELOAD": "false"})
        server.run(settings)
    except SettingsError as error:
        print(f"lookbook: {error}", file=sys.stderr)
        sys.exit(2)
