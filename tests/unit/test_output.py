import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.commands import LOOKBOOK, lookbook
from tests.support.places import BAG, MLP, ROOT


def test_a_file_name_does_not_control_the_terminal(tmp_path: Path) -> None:
    os.rename(shutil.copyfile(BAG, tmp_path / "x"), os.fsencode(tmp_path / "a\x1b[2J") + b"\xff.png")
    ended = lookbook("classify", tmp_path, tmp_path / "b\x1b[2J", "--bundle", MLP)
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "Bag" in ended.stdout


def test_a_file_name_outside_the_encoding_is_escaped(tmp_path: Path) -> None:
    shutil.copyfile(BAG, tmp_path / "tasche-\N{HANDBAG}.png")
    ended = lookbook("classify", tmp_path, BAG, "--bundle", MLP, PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stdout.count("Bag")) == (0, 2)
    assert r"tasche-\U0001f45c.png" in ended.stdout


def test_wide_characters_keep_columns_aligned() -> None:
    with tempfile.TemporaryDirectory() as folder:  # its path is short enough for a column
        for name in ("bag.png", "\N{HANDBAG}包.png"):
            shutil.copyfile(BAG, Path(folder, name))
        _, plain, wide = lookbook("classify", folder, "--bundle", MLP).stdout.splitlines()
    # Each of the two characters is two columns wide.
    assert plain.index("Bag") == wide.index("Bag") + 2


@pytest.mark.parametrize(("closed", "shown"), [(">&-", ""), ("2>&-", "Bag")])
def test_a_closed_stream_does_not_stop_the_command(closed: str, shown: str) -> None:
    command = f'"$0" -m lookbook classify {BAG} /nowhere --bundle {MLP} {closed}'
    ended = subprocess.run(["sh", "-c", command, LOOKBOOK[0]], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert ended.returncode == 1
    assert shown in ended.stdout
    assert "nowhere" not in ended.stdout
    assert "Traceback" not in ended.stderr


def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "wb") as full:
        command = [*LOOKBOOK, "classify", str(BAG), "--bundle", str(MLP)]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, "lookbook: cannot write the output: No space left on device\n")
