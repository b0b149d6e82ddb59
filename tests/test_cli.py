import subprocess
import sys

from service.settings import table


def lookbook(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments], env=environment, capture_output=True, text=True, timeout=60
    )


def test_help_lists_every_setting() -> None:
    text = lookbook("serve", "--help").stdout
    for name, default, help in table():
        assert f"{name}  (default: {default or 'none'})" in text
        assert help in text


def test_a_bad_setting_ends_in_one_line() -> None:
    result = lookbook("serve", LOOKBOOK_STORE="mysql")
    assert result.returncode == 2
    assert result.stderr == "lookbook: LOOKBOOK_STORE=mysql: must be one of sqlite, cassandra\n"
