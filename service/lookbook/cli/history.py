"""`lookbook history`: what a server has answered."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lookbook.cli import output
from lookbook.cli.options import form_options, moment, server_options

if TYPE_CHECKING:
    from lookbook.cli.client import Client

PAGE = 1_000


@click.command()
@server_options("http://127.0.0.1:8080")
@click.option("--label", help="Only answers with this label.")
@click.option(
    "--since",
    metavar="TIME",
    callback=moment,
    help="Only those of this time and later, such as 2026-01-31 (local) or 2026-01-31T12:00Z.",
)
@click.option("--until", metavar="TIME", callback=moment, help="Only those before this time.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@click.option("--all", "everything", is_flag=True, help="All of them, however many.")
@form_options
@click.pass_context
def history(
    context: click.Context,
    url: str,
    token: str | None,
    label: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    everything: bool,
    form: str | None,
) -> None:
    """List a server's answers, newest first."""
    if everything and context.get_parameter_source("limit") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--all and --limit exclude each other")
    # Imported here, like all that serving has no use for.
    from lookbook.cli.client import Client

    client = Client(url, token)
    labels = client.model()["labels"]
    write = output.writer(
        form,
        ("id", "created_at", "file_name", *output.CELLS),
        {"created_at": 19, "label": max(map(len, labels)), "score": 6, "id": 36, "file_name": 0},
    )
    query = {"label": label, "since": since, "until": until}
    for record in _records(client, query, None if everything else limit):
        write(record)


def _records(client: "Client", query: dict[str, Any], limit: int | None) -> Iterator[output.Record]:
    """Page after page by the cursor; None: to the end."""
    left, cursor = limit, None
    while left is None or left > 0:
        page = client.page({**query, "limit": min(left or PAGE, PAGE), "cursor": cursor})
        yield from page["items"]
        left = left and left - len(page["items"])
        cursor = page["next"]
        if cursor is None:
            return
