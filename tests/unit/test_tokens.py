import os
import re
from pathlib import Path

import pytest
from lookbook.errors import SettingsError
from lookbook.http.roles import Role
from lookbook.http.tokens import Token, Tokens


def test_a_token_of_the_file_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("one\n\ntwo\nt\u00f6ken\n", "utf-8")
    tokens = Tokens(tmp_path / "tokens")
    assert tokens.find("one")
    assert tokens.find("two")
    assert not tokens.find("three")
    assert not tokens.find("")
    # WSGI decodes a header in UTF-8 as Latin-1.
    assert tokens.find("t\u00c3\u00b6ken")
    assert not tokens.find("t\u00f6ken")
    assert not tokens.find("t\u20acken")


def test_a_changed_file_takes_effect_at_once(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("old")
    tokens = Tokens(tmp_path / "tokens")
    (tmp_path / "new").write_text("new")
    os.replace(tmp_path / "new", tmp_path / "tokens")
    assert tokens.find("new")
    assert not tokens.find("old")
    (tmp_path / "tokens").unlink()
    assert tokens.find("new")


def test_a_file_that_cannot_be_reloaded_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tokens").write_text("old")
    tokens = Tokens(tmp_path / "tokens")
    for _ in range(2):
        (tmp_path / "tokens").unlink()
        (tmp_path / "tokens").mkdir()
        assert tokens.find("old")
        assert tokens.find("old")
        (tmp_path / "tokens").rmdir()
        (tmp_path / "tokens").write_text("old")
        assert tokens.find("old")
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_an_emptied_file_accepts_no_token(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("old")
    tokens = Tokens(tmp_path / "tokens")
    (tmp_path / "tokens").write_text("")
    assert not tokens.find("old")
    assert not tokens.find("")


def test_a_line_can_limit_a_token_and_name_who_has_it(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("plain\n one read,review  Ana de la Cruz \ntwo predict\nplain\n", "utf-8")
    tokens = Tokens(tmp_path / "tokens")
    assert tokens.find("plain") == Token(b"plain", frozenset(Role), "")
    assert tokens.find("one") == Token(b"one", frozenset((Role.READ, Role.REVIEW)), "Ana de la Cruz")
    assert tokens.find("two") == Token(b"two", frozenset((Role.PREDICT,)), "")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"secret write", "the roles after the token must be one or more of read, predict, review, admin"),
        (b"secret read,", "the roles after the token"),
        (b"secret Ana", "the roles after the token"),
        (b"secret read " + b"x" * 101, "at most 100 printable characters"),
        (b"secret read a\x00b", "at most 100 printable characters"),
        (b"secret read \xff", "must be UTF-8"),
        (b"one read", "the token is already in line 1, with other roles or another name"),
    ],
)
def test_a_bad_line_is_named_only_by_its_number(tmp_path: Path, line: bytes, reason: str) -> None:
    (tmp_path / "tokens").write_bytes(b"one\n\n" + line)
    with pytest.raises(SettingsError) as error:
        Tokens(tmp_path / "tokens")
    assert re.search(f"tokens, line 3: .*{reason}", str(error.value))
    assert "secret" not in str(error.value)


def test_a_bad_line_does_not_change_the_tokens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tokens").write_text("old")
    tokens = Tokens(tmp_path / "tokens")
    (tmp_path / "tokens").write_text("new write")
    assert tokens.find("old")
    assert not tokens.find("new")
    assert "line 1: " in caplog.text
    assert "new" not in caplog.text
