"""The page of the settings."""

from lookbook.settings import table

from tools.reference import markdown

ABOUT = """\
This page lists every setting of `lookbook serve` and `lookbook schema`. You set them as environment variables. A name
that begins with `LOOKBOOK_` but is not listed here is refused at the start, and so is a value that cannot be used.

On Kubernetes, the chart sets what it needs. You set the others under [`settings`](chart-values.md), in lower case and
without `LOOKBOOK_`: `settings.retention`, for example.
"""


def page() -> str:
    rows = [(f"`{name}`", markdown.code(default) or "none", markdown.plain(help)) for name, default, help in table()]
    source = "service/lookbook/settings.py"
    return f"{markdown.heading('Settings', source, ABOUT)}\n{markdown.table(('name', 'default', 'meaning'), rows)}"
