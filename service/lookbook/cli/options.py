"""Options that several commands share."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click

Command = Callable[..., None]


def moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """RFC 3339 in UTC for a time such as 2026-01-31 or 2026-01-31T12:00Z; without a zone it is local time."""
    if not value:
        return None
    try:
        return datetime.fromisoformat(value).astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is not a time such as 2026-01-31 or 2026-01-31T12:00Z") from None


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port or IPv6 address
        return False


def _url(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value and not _is_url(value):
        raise click.BadParameter(f"{value!r} is not a URL such as http://127.0.0.1:8080")
    return value


def _token(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value and not value.isprintable():
        raise click.BadParameter("a token must not contain line breaks or other unprintable characters")
    return value


def _form(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and context.params.get("form"):
        raise click.UsageError("--json and --csv cannot be used together")
    context.params["form"] = parameter.name if value else context.params.get("form")


def server_options(default: str | None = None) -> Callable[[Command], Command]:
    """Adds --url and --token."""

    def add(command: Command) -> Command:
        for option in (
            click.option(
                "--token",
                callback=_token,
                envvar="LOOKBOOK_TOKEN",
                show_envvar=True,
                help="Bearer token, if the server requires one.",
            ),
            click.option(
                "--url",
                callback=_url,
                metavar="URL",
                default=default,
                show_default=True,
                envvar="LOOKBOOK_URL",
                show_envvar=True,
                help="Address of the server, such as http://127.0.0.1:8080.",
            ),
        ):
            command = option(command)
        return command

    return add


def period_options(noun: str) -> Callable[[Command], Command]:
    """Adds --since and --until, as moment() gives them."""

    def add(command: Command) -> Command:
        for option in (
            click.option("--until", metavar="TIME", callback=moment, help=f"Only {noun} made before this time."),
            click.option(
                "--since",
                metavar="TIME",
                callback=moment,
                help=f"Only {noun} made at this time or later, such as 2026-01-31 (local time) or 2026-01-31T12:00Z.",
            ),
        ):
            command = option(command)
        return command

    return add


def _day(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if not value:
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a day such as 2026-01-31") from None


def day_options(command: Command) -> Command:
    """Adds --since and --until, as days."""
    for option in (
        click.option("--until", metavar="DAY", callback=_day, help="Last day, in UTC.  [default: today]"),
        click.option(
            "--since",
            metavar="DAY",
            callback=_day,
            help="First day, in UTC, such as 2026-01-31.  [default: 27 days before the last]",
        ),
    ):
        command = option(command)
    return command


def version_option(done: str, pooled: bool = False) -> Callable[[Command], Command]:
    """Adds --model-version; `done` is what happens to its predictions. With `pooled`, it can be repeated."""
    more = " Repeat it to pool several versions." if pooled else ""
    return click.option(
        "--model-version",
        metavar="VERSION",
        multiple=pooled,
        help=f"Version whose predictions are {done}, as VERSION or NAME/VERSION.{more}  [default: the served one]",
    )


def comparison_options(command: Command) -> Command:
    """Adds --json, as `as_json`, --html, and --no-store."""
    for option in (
        click.option("--no-store", is_flag=True, help="Do not store the result. Its flips cannot be reviewed then."),
        click.option(
            "--html",
            metavar="FILE",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Also write a report that shows the images of the flips.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object."),
    ):
        command = option(command)
    return command


def form_options(command: Command) -> Command:
    """Adds --json and --csv, which become `form`."""
    for option in (
        click.option("--csv", is_flag=True, callback=_form, expose_value=False, help="Print CSV with a header line."),
        click.option(
            "--json", is_flag=True, callback=_form, expose_value=False, help="Print JSON Lines, one object per line."
        ),
    ):
        command = option(command)
    return command


def release_options(command: Command) -> Command:
    """Adds --release, --namespace, and --context."""
    for option in (
        click.option("--context", help="Context of the kubeconfig.  [default: the current one]"),
        click.option("--namespace", help="Namespace of the release.  [default: that of the context]"),
        click.option("--release", default="lookbook", show_default=True, help="Name of the Helm release."),
    ):
        command = option(command)
    return command
