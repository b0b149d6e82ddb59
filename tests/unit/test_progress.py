import os
import pty
import re
import signal
import subprocess
from pathlib import Path

from tests.support.commands import LOOKBOOK, json_lines
from tests.support.places import PHOTOS, ROOT

MANY = [str(PHOTOS / "hat.jpg")] * 400
HAT = r"\S+/hat\.jpg +Hat +9\d\.\d%.*"


def on_a_terminal(*arguments: str, stdout: int | None = None, interrupt_at: str = "") -> tuple[list[str], int]:
    """The lines that `classify` leaves on a terminal, and its exit code; Ctrl-C once `interrupt_at` matches."""
    ours, its = pty.openpty()
    command = subprocess.Popen(
        [*LOOKBOOK, "classify", *arguments],
        stdin=its,
        stdout=its if stdout is None else stdout,
        stderr=its,
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        # Tests that run in the background ignore Ctrl-C, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(its)
    shown = b""
    with open(ours, "rb", buffering=0) as terminal:
        try:
            while block := terminal.read(65536):
                shown += block
                if interrupt_at and re.search(interrupt_at.encode(), shown):
                    command.send_signal(signal.SIGINT)
                    interrupt_at = ""
        except OSError:  # how a terminal ends on Linux
            pass
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode()).split("\r\n"), command.wait(30)


def last_shown(lines: list[str]) -> list[str]:
    """Each line as it looks after the bar was erased from it."""
    return [line.rpartition("\r")[2] for line in lines]


def count_of_hats(lines: list[str]) -> int:
    return sum(bool(re.fullmatch(HAT, line)) for line in last_shown(lines))


def test_a_terminal_gets_a_bar_with_rate_and_time_left(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    lines, code = on_a_terminal(f"{tmp_path}/empty.jpg", *MANY)
    assert code == 1
    assert re.search(r"━ +\d+/401 \d+\.\d/s 0:\d\d:\d\d left", "\n".join(lines))
    assert count_of_hats(lines) == 400
    assert f"lookbook: {tmp_path}/empty.jpg: the file is empty" in last_shown(lines)


def test_the_bar_leaves_standard_output_alone(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        lines, code = on_a_terminal(*MANY, "--json", stdout=out.fileno())
    assert code == 0
    assert len(json_lines((tmp_path / "out").read_text())) == 400
    assert "400/400" in "".join(lines)
    assert "Hat" not in "".join(lines)


def test_ctrl_c_leaves_every_counted_line_on_the_terminal() -> None:
    lines, code = on_a_terminal(*MANY * 10, interrupt_at=r"\d\d\d/4000")  # the bar does not show every number
    assert code == 130
    assert f"lookbook: stopped: {count_of_hats(lines)} of 4000 images are done" in last_shown(lines)
    assert 100 <= count_of_hats(lines) < 4000
