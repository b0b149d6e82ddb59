"""Load from wrk, which posts one image over a few connections as fast as the service responds."""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, cast

from urllib3 import encode_multipart_formdata

from benchmarks.errors import BenchmarkError

CONNECTIONS = 8

_SCRIPT = Path(__file__).with_name("post.lua")
# wrk runs for a time, not for a number of requests: soak() allows time for this rate and then stops it with a signal.
_MIN_REQUESTS_PER_SECOND = 10


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk measured; `p50` and `p99` are in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Body:
    """A file with a body, where it is posted, and the status with which the service accepts it."""

    file: Path
    content_type: str
    path: str = "/v1/predictions"
    status: int = 201


def check_wrk() -> None:
    """Raises BenchmarkError if wrk is not installed."""
    if not shutil.which("wrk"):
        raise BenchmarkError("wrk is not installed; on Debian: apt install wrk")


def write_body(image: Path, file: Path) -> Body:
    """Write the body with which a browser sends the image."""
    content, content_type = encode_multipart_formdata({"image": (image.name, image.read_bytes())})
    file.write_bytes(content)
    return Body(file, content_type)


def drive(url: str, body: Body, seconds: int) -> Load:
    """Post for some seconds. Raises BenchmarkError if any response has another status than `body.status`."""
    load, errors = try_drive(url, body, seconds)
    return _without(load, errors)


def try_drive(url: str, body: Body, seconds: int, connections: int = CONNECTIONS) -> tuple[Load, dict[str, int]]:
    """Post for some seconds; the second result counts the errors of each kind."""
    command = _command(url, body, seconds, connections)
    return _read(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout)


def soak(url: str, body: Body, count: int, points: int) -> Iterator[int]:
    """Post `count` times; yields the number of responses so far at `points` points on the way."""
    command = _command(url, body, count // _MIN_REQUESTS_PER_SECOND, CONNECTIONS, step=max(1, count // points))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as wrk:
        output = cast(IO[str], wrk.stdout)
        try:
            counts = (int(line.split()[1]) for line in output if line.startswith("responses"))
            yield from islice(counts, points)
        finally:
            wrk.send_signal(signal.SIGINT)
        load = _without(*_read(output.read()))
    if load.requests < count // points * points:
        raise BenchmarkError(f"the service handled fewer than {_MIN_REQUESTS_PER_SECOND} requests a second")


def _command(url: str, body: Body, seconds: int, connections: int, step: int = 0) -> list[str]:
    # Far above the timeouts of the service, so that a slow response counts in p99 and not as an error.
    options = ["--threads", "1", "--connections", str(connections), "--duration", str(seconds), "--timeout", "10"]
    arguments = [str(body.file), body.content_type, str(body.status), str(step)]
    return ["wrk", *options, "--script", str(_SCRIPT), url + body.path, "--", *arguments]


def _read(output: str) -> tuple[Load, dict[str, int]]:
    """Parse the line of JSON that post.lua prints last: the load, and the errors of each kind."""
    last = output.strip().rpartition("\n")[2]
    if not last.startswith("{"):
        raise BenchmarkError(f"wrk failed: {last}")
    found = json.loads(last)
    errors = {kind: count for kind, count in found.pop("errors").items() if count}
    return Load(**found), errors


def _without(load: Load, errors: dict[str, int]) -> Load:
    if errors:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in errors.items())
        raise BenchmarkError(f"{load.requests} requests with errors: {kinds}")
    return load
