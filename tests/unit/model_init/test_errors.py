import errno
from pathlib import Path

import pytest
from model_init import errors
from model_init.errors import Exit, Failure, report


def test_the_line_is_the_termination_message_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "termination-log"
    log.write_text("that of an earlier start, which was longer than this")
    monkeypatch.setattr(errors, "TERMINATION_LOG", log)
    assert report(Failure(Exit.NOT_FOUND, "no such\nbundle")) == Exit.NOT_FOUND
    assert log.read_text() == "model-init: no such bundle"
    assert capsys.readouterr().err == "model-init: no such bundle\n"


def test_without_a_termination_log_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "TERMINATION_LOG", tmp_path / "none")
    assert report(OSError(errno.EDQUOT, "Disk quota exceeded")) == Exit.NO_SPACE
    assert not list(tmp_path.iterdir())
