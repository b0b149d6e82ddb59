from datetime import datetime

import click
import pytest
from lookbook.cli.options import moment

CONTEXT, OPTION = click.Context(click.Command("test")), click.Option(["--since"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00+02:00", "2026-01-31T10:00:00Z"),
        ("", None),
        (None, None),
    ],
)
def test_a_time_becomes_utc(text: str | None, expected: str | None) -> None:
    assert moment(CONTEXT, OPTION, text) == expected


def test_a_time_without_a_zone_is_local() -> None:
    found = moment(CONTEXT, OPTION, "2026-01-31")
    assert found is not None
    assert datetime.fromisoformat(found) == datetime(2026, 1, 31).astimezone()


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30", "0001-01-01T00:00+14:00"])
def test_what_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a time such as 2026-01-31"):
        moment(CONTEXT, OPTION, text)
