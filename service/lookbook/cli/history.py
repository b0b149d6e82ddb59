"""`lookbook history`: the predictions that a server has stored."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lookbook.cli import output
from lookbook.cli.options import form_options, period_options, server_options

if TYPE_CHECKING:
    from lookbook.cli.client import Client

PAGE = 1_000


@click.command()
@server_options("http://127.0.0.1:8080")
@click.option("--label", help="Only predictions with this label.")
@period_options("predictions")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Maximum number of predictions.",
)
@click.option("--all", "unlimited", is_flag=True, help="No limit.")
@form_options
@click.pass_context
def history(
    context: click.Context,
    /,
    url: str,
    token: str | None,
    form: str | None,
    limit: int,
    unlimited: bool,
    **filters: str | None,
) -> None:
    """List the predictions stored by a server, newest first."""
    if unlimited and context.get_parameter_source("limit") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--all and --limit cannot be used together")
    # Imported here: the other commands start faster without it.
    from lookbook.cli.client import Client

    client = Client(url, token)
    labels = client.model()["labels"]
    write = output.writer(
        form,
        ("id", "created_at", "file_name", *output.CELLS),
        {"created_at": 25, "label": max(map(len, labels)), "score": 6, "id": 36, "file_name": 0},
    )
    for prediction in _predictions(client, filters, None if unlimited else limit):
        write(prediction)


def _predictions(client: "Client", filters: dict[str, str | None], limit: int | None) -> Iterator[dict[str, Any]]:
    """At most `limit` predictions, page by page."""
    left, cursor = limit, None
    while left is None or left > 0:
        page = client.page({**filters, "limit": min(left or PAGE, PAGE), "cursor": cursor})
        yield from page["items"]
        left = left and left - len(page["items"])
        cursor = page["next"]
        if cursor is None:
            return
