"""Load: wrk, which posts one picture over a few connections as fast as it is answered."""

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from urllib3 import encode_multipart_formdata

from benchmarks.errors import BenchmarkError

CONNECTIONS = 8

_SCRIPT = Path(__file__).with_name("post.lua")
_PATH = "/v1/predictions"
# wrk ends after a time and not after a count: soak() gives it this many requests a second, then a signal.
_SLOWEST = 10


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk counted: `p50` and `p99` in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Body:
    """A multipart body in a file."""

    file: Path
    content_type: str


def write_body(picture: Path, file: Path) -> Body:
    """The picture as a browser would send it."""
    content, content_type = encode_multipart_formdata({"image": (picture.name, picture.read_bytes())})
    file.write_bytes(content)
    return Body(file, content_type)


def drive(url: str, body: Body, seconds: int) -> Load:
    """Post for that long; raises BenchmarkError where any answer was not 201."""
    command = _command(url, body, seconds)
    return _read(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout)


def soak(url: str, body: Body, count: int, points: int) -> Iterator[int]:
    """Post `count` times; yields the answers so far at that many points on the way, while posting goes on."""
    command = _command(url, body, count // _SLOWEST, step=max(1, count // points))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as wrk:
        try:
            answered = (int(line.split()[1]) for line in wrk.stdout if line.startswith("answered"))
            yield from islice(answered, points)
        finally:
            wrk.send_signal(signal.SIGINT)
        load = _read(wrk.stdout.read())
    if load.requests < count // points * points:
        raise BenchmarkError(f"fewer than {_SLOWEST} requests a second")


def _command(url: str, body: Body, seconds: int, step: int = 0) -> list[str]:
    # A slow answer belongs into p99, not among the errors: the timeout is far above the store's.
    options = ["--threads", "1", "--connections", str(CONNECTIONS), "--duration", str(seconds), "--timeout", "10"]
    return ["wrk", *options, "--script", str(_SCRIPT), url + _PATH, "--", str(body.file), body.content_type, str(step)]


def _read(output: str) -> Load:
    """The line of JSON that post.lua prints last."""
    last = output.strip().rpartition("\n")[2]
    if not last.startswith("{"):
        raise BenchmarkError(f"wrk failed: {last}")
    found = json.loads(last)
    errors = ", ".join(f"{count} x {kind}" for kind, count in found.pop("errors").items() if count)
    if errors:
        raise BenchmarkError(f"{found['requests']} requests with errors: {errors}")
    return Load(**found)
