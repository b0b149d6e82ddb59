"""`lookbook completion`: completion of the command line in a shell. Tests: tests/server/test_install.py."""

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

PROGRAM = "lookbook"

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(tuple(_SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a completion script for a shell.

    To enable completion:

    \b
      bash, in ~/.bashrc:                   eval "$(lookbook completion bash)"
      zsh, in ~/.zshrc:                     eval "$(lookbook completion zsh)"
      fish, in ~/.config/fish/config.fish:  lookbook completion fish | source
    """
    click.echo(_SHELLS[shell](context.find_root().command, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())
