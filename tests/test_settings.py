import re

import pytest

from service.settings import Settings, SettingsError, table
from tests.conftest import ROOT


def test_the_defaults_hold_where_nothing_is_set() -> None:
    assert Settings.from_environment({"PATH": "/bin"}) == Settings()


def test_each_type_is_parsed() -> None:
    settings = Settings.from_environment(
        {"LOOKBOOK_STORE": "cassandra", "LOOKBOOK_WORKERS": "3", "LOOKBOOK_THUMBNAILS": "False"}
    )
    assert (settings.store, settings.workers, settings.thumbnails) == ("cassandra", 3, False)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("LOOKBOOK_STORE", "mysql", "must be one of sqlite, cassandra"),
        ("LOOKBOOK_WORKERS", "-1", "at least 0"),
        ("LOOKBOOK_MAX_REQUESTS", "0", "at least 1"),
        ("LOOKBOOK_MAX_BYTES", "8 MB", "must be a whole number"),
        ("LOOKBOOK_SHARDS", "257", "at most 256"),
        ("LOOKBOOK_THUMBNAILS", "yes", "must be true or false"),
        ("LOOKBOOK_WORKER", "2", "is not a setting"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}.*{complaint}"):
        Settings.from_environment({name: value})


def test_the_readme_lists_every_setting_as_it_is() -> None:
    rows = re.findall(r"^\| `(LOOKBOOK_\w+)` \| (.*?) \| (.*?) \|$", (ROOT / "README.md").read_text(), re.M)
    assert rows == [(name, f"`{default}`" if default else "none", help) for name, default, help in table()]
