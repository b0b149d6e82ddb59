"""Runs the commands of a page: its fenced blocks themselves, not a copy of them.

A block ```sh always runs, ```sh NAME only if NAME is asked for. A block ```text right after it is its output, where …
stands for anything on a line. Other blocks do not run.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tests.support.places import ROOT
from tests.support.running import free_port

DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^```sh ?(\S*)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def follow(
    page: Path,
    *names: str,
    folder: Path,
    replaced: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = 300,
) -> str:
    """Run the page's blocks in one bash in `folder`; returns what they printed.

    `replaced` maps text of the page to what runs instead, such as a free port.
    """
    found = list(_blocks(page.read_text(), names))
    assert found, f"{page}: no block to run"
    for old, new in (replaced or {}).items():
        assert any(old in script + expected for script, expected in found), f"{page} has no {old}"
        found = [(script.replace(old, new), expected.replace(old, new)) for script, expected in found]
    outputs = [folder / f"block-{number}.txt" for number in range(len(found))]
    script = "\n".join(f"exec >{output} 2>&1\n{script}" for output, (script, _) in zip(outputs, found, strict=True))
    code = _run(script, folder, environment or {}, seconds)
    printed = [output.read_text() if output.exists() else "" for output in outputs]
    assert code == 0, f"{page} ended with {code}; its last blocks printed:\n" + "\n---\n".join(filter(None, printed))
    for (_, expected), text in zip(found, printed, strict=True):
        assert not expected or _matches(expected, text), f"{page} says\n{expected}\nbut this was printed:\n{text}"
    return "".join(printed)


def block(page: Path, kind: str) -> str:
    """The page's only block of that kind."""
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Info string and content of each fenced block of the page."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def on_a_free_port() -> tuple[dict[str, str], dict[str, str]]:
    """What replaces the pages' port, and the settings that go with it."""
    port = str(free_port())
    return {"8080": port}, {"LOOKBOOK_BIND": f"127.0.0.1:{port}", "LOOKBOOK_WORKERS": "1"}


def checkout(folder: Path) -> Path:
    """A folder that looks like a fresh checkout, with the environment that `make run` creates."""
    (folder / ".venv").mkdir(parents=True)
    for path in ROOT.iterdir():
        if not path.name.startswith((".", "lookbook.sqlite")):
            (folder / path.name).symlink_to(path)
    for path in Path(sys.prefix).iterdir():
        (folder / ".venv" / path.name).symlink_to(path)
    (folder / ".venv/serving").unlink(missing_ok=True)
    (folder / ".venv/serving").touch()
    return folder


def _blocks(text: str, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The commands and the output of each block to run; no output if the page does not show it."""
    for name, script, expected in _BLOCK.findall(text):
        if not name or name in names:
            yield script, expected


def _matches(expected: str, text: str) -> bool:
    pattern = "[^\n]*".join(re.escape(part) for part in expected.strip().split("…"))
    return re.fullmatch(pattern, text.strip()) is not None


def _run(script: str, folder: Path, environment: Mapping[str, str], seconds: float) -> int:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOOKBOOK_", "PROMETHEUS_"))}
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(seconds)
    finally:
        # What the page left running in the background.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
