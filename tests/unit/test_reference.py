"""The reference pages that `make reference` writes."""

from pathlib import Path

import pytest

from tests.support.places import CHART
from tools.reference import PAGES
from tools.reference.chart_values import Value, values

VALUES = """\
# A group.
group:
  # What it is,
  # in two lines.
  name: text
  inner: {number: 1}
  nothing: ""
# A mapping that is empty: <any>.
free: {}
"""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_is_as_the_code_is(path: Path) -> None:
    assert path.read_text() == PAGES[path](), "run make reference"


def test_the_comment_above_a_value_says_what_it_is() -> None:
    assert values(VALUES) == [
        Value("group", "", "A group."),
        Value("group.name", "text", "What it is, in two lines."),
        Value("group.inner.number", "1", ""),
        Value("group.nothing", '""', ""),
        Value("free", "{}", "A mapping that is empty: <any>."),
    ]


def test_no_value_of_the_chart_is_left_out() -> None:
    text = (CHART / "values.yaml").read_text()
    lines = [line.partition("#")[0] for line in text.splitlines()]
    keys = {line.partition(":")[0].strip() for line in lines if ":" in line}
    paths = {part for value in values(text) for part in value.path.split(".")}
    assert keys <= paths
