import errno
from pathlib import Path

import pytest
from model_init import errors
from model_init.errors import BundleNotFound, DiskFull, report


def test_an_error_is_one_line_and_the_termination_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "termination-log"
    log.write_text("the message of an earlier start, longer than the new one")
    monkeypatch.setattr(errors, "TERMINATION_LOG", log)
    assert report(BundleNotFound("no such\nbundle")) == BundleNotFound.exit_code == 3
    assert log.read_text() == "model-init: no such bundle"
    assert capsys.readouterr().err == "model-init: no such bundle\n"


def test_outside_a_pod_no_termination_log_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "TERMINATION_LOG", tmp_path / "none")
    assert report(OSError(errno.EDQUOT, "Disk quota exceeded")) == DiskFull.exit_code == 5
    assert not list(tmp_path.iterdir())
