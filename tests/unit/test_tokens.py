import os
from pathlib import Path

import pytest
from lookbook.http.tokens import Tokens


def test_a_token_of_the_file_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("one\n\ntwo\nt\u00f6ken\n", "utf-8")
    tokens = Tokens(tmp_path / "tokens")
    assert tokens.accepts("one")
    assert tokens.accepts("two")
    assert not tokens.accepts("three")
    assert not tokens.accepts("")
    # WSGI decodes a header in UTF-8 as Latin-1.
    assert tokens.accepts("t\u00c3\u00b6ken")
    assert not tokens.accepts("t\u00f6ken")
    assert not tokens.accepts("t\u20acken")


def test_a_changed_file_takes_effect_at_once(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("old")
    tokens = Tokens(tmp_path / "tokens")
    (tmp_path / "new").write_text("new")
    os.replace(tmp_path / "new", tmp_path / "tokens")
    assert tokens.accepts("new")
    assert not tokens.accepts("old")
    (tmp_path / "tokens").unlink()
    assert tokens.accepts("new")


def test_a_file_that_cannot_be_reloaded_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tokens").write_text("old")
    tokens = Tokens(tmp_path / "tokens")
    for _ in range(2):
        (tmp_path / "tokens").unlink()
        (tmp_path / "tokens").mkdir()
        assert tokens.accepts("old")
        assert tokens.accepts("old")
        (tmp_path / "tokens").rmdir()
        (tmp_path / "tokens").write_text("old")
        assert tokens.accepts("old")
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_an_emptied_file_accepts_no_token(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("old")
    tokens = Tokens(tmp_path / "tokens")
    (tmp_path / "tokens").write_text("")
    assert not tokens.accepts("old")
    assert not tokens.accepts("")
