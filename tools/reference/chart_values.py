"""The page of the chart's values, from values.yaml: the comment above a key says what it is."""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from tools.reference import markdown

ABOUT = """\
This page lists every value of the Helm chart with its default. Set them with `--set`, or in a file with `--values`.
[Install on your own cluster](../how-to/cluster.md) has an example.
"""


@dataclass(frozen=True, slots=True)
class Value:
    """A dotted key, its default as it is written in the file (empty for a group of values), and its comment."""

    path: str
    default: str
    about: str


def page(text: str) -> str:
    """The page for a values.yaml of that text."""
    rows = [(f"`{value.path}`", markdown.code(value.default), markdown.plain(value.about)) for value in values(text)]
    table = markdown.table(("value", "default", "meaning"), rows)
    return f"{markdown.heading('Chart values', 'charts/lookbook/values.yaml', ABOUT)}\n{table}"


def values(text: str) -> list[Value]:
    """Every value, and every group of values that has a comment, in the order of the file."""
    root = yaml.compose(text)
    return list(_values(root, text, "")) if isinstance(root, yaml.MappingNode) else []


def _values(mapping: yaml.MappingNode, text: str, prefix: str) -> Iterator[Value]:
    for key, node in mapping.value:
        path, about = f"{prefix}{key.value}", _comment(text.splitlines(), key.start_mark.line)
        if isinstance(node, yaml.MappingNode) and node.value:
            if about:
                yield Value(path, "", about)
            yield from _values(node, text, f"{path}.")
        else:
            yield Value(path, text[node.start_mark.index : node.end_mark.index].strip(), about)


def _comment(lines: list[str], line: int) -> str:
    """The comment right above a line."""
    first = line
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return " ".join(comment.lstrip().removeprefix("#").strip() for comment in lines[first:line])
