"""Load from vegeta, which starts requests at a fixed rate, whether earlier ones have been answered or not."""

import json
import shutil
import signal
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benchmarks.errors import BenchmarkError
from benchmarks.load import Body
from benchmarks.peers.peers import ENVIRONMENTS


@dataclass(frozen=True, slots=True)
class Answer:
    """How the request with this number ended; status 0 if there was no response."""

    number: int
    status: int
    content: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Attack:
    """Requests that are under way."""

    def __init__(self, process: subprocess.Popen[bytes], results: Path) -> None:
        self._process = process
        self._results = results

    def stop(self) -> None:
        """Start no more requests; the others still get their answers."""
        self._process.send_signal(signal.SIGINT)

    def answers(self) -> Iterator[Answer]:
        """The answers, once the last has arrived."""
        self._process.wait()
        lines = subprocess.run([_required(), "encode", self._results], stdout=subprocess.PIPE, check=True).stdout
        for line in lines.splitlines():
            found = json.loads(line)
            number = int(parse_qs(urlsplit(found["url"]).query)["number"][0])
            yield Answer(number, found["code"], b64decode(found["body"] or ""))


@contextmanager
def attack(url: str, body: Body, rate: int, seconds: int, folder: Path) -> Iterator[Attack]:
    """Requests with a number each, in the URL and as the ID of a CloudEvent. Raises BenchmarkError without vegeta."""
    targets, results = folder / "targets", folder / "results"
    targets.write_text("".join(_target(url, body, number) for number in range(rate * seconds)))
    options = [f"-targets={targets}", f"-rate={rate}", f"-duration={seconds}s", f"-output={results}"]
    with subprocess.Popen([_required(), "attack", *options]) as process:
        try:
            yield Attack(process, results)
        finally:
            process.kill()


def find() -> str | None:
    """The program that `make peers` has built, or another."""
    return shutil.which("vegeta", path=ENVIRONMENTS) or shutil.which("vegeta")


def _required() -> str:
    if program := find():
        return program
    raise BenchmarkError("vegeta is not installed; install Go, and run make peers")


def _target(url: str, body: Body, number: int) -> str:
    lines = [
        f"POST {url}{body.path}?number={number}",
        f"Content-Type: {body.content_type}",
        f"Ce-Id: {number}",
        f"@{body.file}",
    ]
    return "\n".join(lines) + "\n\n"
