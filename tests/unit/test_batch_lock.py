"""Commands that would write to one folder at the same time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lookbook.cli.batch.lock import locked
from lookbook.errors import LookbookError

HOLD = "import sys; from lookbook.cli.batch.lock import locked\nwith locked(sys.argv[1]): print(flush=True); input()"


@pytest.mark.parametrize(("one", "other"), [("out", "./out/"), ("hdfs://a/out", "hdfs://a/out/")])
def test_a_folder_has_one_writer(one: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        locked(one),
        pytest.raises(LookbookError, match=f"another command is writing to {other}: wait until it ends"),
        locked(other),
    ):
        pass
    with locked(other), locked("elsewhere"):
        pass


def test_a_killed_command_leaves_no_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout
        assert process.stdout.readline()
        with pytest.raises(LookbookError), locked(str(tmp_path)):
            pass
        process.kill()
        process.wait()
    with locked(str(tmp_path)):
        pass
