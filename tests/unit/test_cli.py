import socket
import subprocess
import sys

from lookbook import __version__
from lookbook.settings import table

from tests.support.running import free_port


def lookbook(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "lookbook", *arguments], env=environment, capture_output=True, text=True, timeout=60
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


def test_an_address_that_cannot_be_had_ends_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        result = lookbook("serve", LOOKBOOK_BIND=bind, LOOKBOOK_TOKENS_FILE="tokens")
    assert result.returncode == 2
    assert result.stderr == f"lookbook: LOOKBOOK_BIND={bind}: Address already in use\n"


def test_the_version_is_said() -> None:
    assert lookbook("--version").stdout == f"lookbook, version {__version__}\n"


def test_tokens_that_cannot_be_read_are_said_in_one_line() -> None:
    result = lookbook("serve", LOOKBOOK_BIND=f"127.0.0.1:{free_port()}", LOOKBOOK_TOKENS_FILE="/nowhere/tokens")
    assert result.returncode == 2
    assert result.stderr == "lookbook: LOOKBOOK_TOKENS_FILE=/nowhere/tokens: No such file or directory\n"
