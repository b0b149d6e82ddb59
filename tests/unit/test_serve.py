import socket
from pathlib import Path

from lookbook.settings import table

from tests.support.commands import lookbook
from tests.support.running import free_port


def test_help_lists_every_setting() -> None:
    text = " ".join(lookbook("serve", "--help").stdout.split())
    for name, default, help in table():
        assert f"{name} (default: {default or 'none'}) {help}" in text


def test_an_address_that_is_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = lookbook("serve", LOOKBOOK_BIND=bind, LOOKBOOK_TOKENS_FILE="tokens")
    assert ended.returncode == 2
    assert ended.stderr == (
        f"lookbook: LOOKBOOK_BIND={bind}: cannot listen there: Address already in use; "
        "stop the other server, or choose another port\n"
    )


def test_a_tokens_file_that_cannot_be_read_is_one_line() -> None:
    ended = lookbook("serve", LOOKBOOK_BIND=f"127.0.0.1:{free_port()}", LOOKBOOK_TOKENS_FILE="/nowhere/tokens")
    assert ended.returncode == 2
    assert ended.stderr == "lookbook: LOOKBOOK_TOKENS_FILE=/nowhere/tokens: No such file or directory\n"


def test_a_bad_line_of_the_tokens_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret everything\n")
    ended = lookbook("serve", LOOKBOOK_BIND=f"127.0.0.1:{free_port()}", LOOKBOOK_TOKENS_FILE=str(tmp_path / "tokens"))
    assert ended.returncode == 2
    assert ended.stderr.startswith(
        f"lookbook: LOOKBOOK_TOKENS_FILE={tmp_path}/tokens, line 1: the roles after the token must be one or more of"
    )
    assert ended.stderr.count("\n") == 1
