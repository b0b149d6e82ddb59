"""The page of the settings."""

from lookbook.settings import table

from tools.reference import markdown

ABOUT = """\
This page lists every setting of `lookbook serve`. The commands that use the store directly (`schema`, `backup`,
`restore`, `export`, `import`, and `batch`) read the same settings. You set them as environment variables. A name that
begins with `LOOKBOOK_` but is not listed here is refused at startup, except `LOOKBOOK_URL` and `LOOKBOOK_TOKEN`, which
the [command line](command-line.md) reads. A value that cannot be used is refused, too.

On Kubernetes, the chart sets what it needs. You can set most of the others under [`settings`](chart-values.md), in
lowercase and without `LOOKBOOK_`: `settings.retention`, for example. `charts/lookbook/values.schema.json` lists them.
"""


def page() -> str:
    rows = [(f"`{name}`", markdown.code(default) or "none", markdown.plain(help)) for name, default, help in table()]
    source = "service/lookbook/settings.py"
    return f"{markdown.heading('Settings', source, ABOUT)}\n{markdown.table(('name', 'default', 'meaning'), rows)}"
