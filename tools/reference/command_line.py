"""The page of the commands: `lookbook`, and those of the container image lookbook-model-init."""

import inspect
import re
from collections.abc import Iterator
from typing import TypeGuard

import click
from lookbook.cli.main import main
from lookbook.errors import LookbookError
from model_init import errors
from model_init.commands import COMMANDS

from tools.reference import markdown

ABOUT = """\
This page lists every command with its options, as `--help` prints them.
[Classify from the command line](../how-to/command-line.md) has examples.
"""
MODEL_INIT = """
## The container image lookbook-model-init

On Kubernetes, pods run these commands; you don't run them yourself. If a pull fails, `kubectl describe pods` shows why.
"""


def page() -> str:
    commands = "".join(_section(context) for context in _contexts(click.Context(main, info_name="lookbook")))
    return f"{markdown.heading('Command line', 'service/lookbook/cli', ABOUT)}{commands}{_model_init()}"


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """A command and those below it."""
    yield context
    if isinstance(context.command, click.Group):
        for name, command in context.command.commands.items():
            yield from _contexts(click.Context(command, info_name=name, parent=context))


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## {context.command_path}\n", f"```text\n{usage}\n```\n", *_paragraphs(command.help or "")]
    if isinstance(command, click.Group):
        below = [
            (f"`{context.command_path} {name}`", sub.get_short_help_str(200)) for name, sub in command.commands.items()
        ]
        parts.append(markdown.table(("command", "meaning"), below))
    if command.name == "serve":
        parts.append("Its settings are [environment variables](settings.md).\n")
    options = [param.get_help_record(context) for param in command.params if isinstance(param, click.Option)]
    if rows := [(markdown.code(names), markdown.plain(help)) for names, help in filter(None, options)]:
        parts.append(markdown.table(("option", "meaning"), rows))
    return "\n" + "\n".join(parts)


def _paragraphs(help: str) -> Iterator[str]:
    """Paragraphs of a help text; Click leaves those after a \\b as they are."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(help)):
        if paragraph.startswith("\b"):
            yield f"```text\n{paragraph[1:].strip(chr(10))}\n```\n"
        else:
            yield f"{markdown.plain(paragraph)}\n"


def _model_init() -> str:
    commands = [(f"`{command.name}`", markdown.plain(command.help)) for command in COMMANDS]
    found = {error.exit_code: error.__doc__ or "" for error in vars(errors).values() if _has_code(error)}
    codes = [
        (str(code), markdown.plain(about)) for code, about in sorted({**found, 2: "An argument is wrong."}.items())
    ]
    tables = markdown.table(("command", "meaning"), commands), markdown.table(("exit code", "meaning"), codes)
    return "\n".join([MODEL_INIT, *tables])


def _has_code(error: object) -> TypeGuard[type[LookbookError]]:
    return isinstance(error, type) and issubclass(error, LookbookError) and error.__module__ == errors.__name__
