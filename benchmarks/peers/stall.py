"""What happens to records while the place where they belong does not answer, or is down."""

import json
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from benchmarks.peers import process_tree
from benchmarks.peers.recorders import Recorder
from benchmarks.peers.vegeta import Answer, attack

RATE = 50  # requests per second
_CALM_SECONDS = 15  # before and after the fault
# What Kubernetes leaves to a pod between SIGTERM and SIGKILL, unless told otherwise.
_GRACE_SECONDS = 30
# After this time without a new record, none is expected anymore.
_QUIET_SECONDS = 10
_POLL_SECONDS = 1


class Fault(Enum):
    """What happens, as the table says it; `{}` is the number of seconds."""

    STALLED = "does not answer for {} s"
    DOWN = "refuses connections for {} s"
    STOPPED = "does not answer, and the server gets SIGTERM"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many requests ended how; memory in MB, before the fault and at its peak since then."""

    accepted: int
    lost: int
    unclaimed: int
    failures: Counter[str]
    memory: float
    peak: float


def endure(recorder: Recorder, fault: Fault, seconds: int) -> Outcome | None:
    """Send requests before, during, and after the fault; None if it cannot happen to this server."""
    block = recorder.refusing if fault is Fault.DOWN else recorder.stalled
    if not block:
        return None
    total = seconds + 2 * _CALM_SECONDS
    with (
        tempfile.TemporaryDirectory(prefix="lookbook-stall-") as folder,
        _memory(recorder.processes) as memory,
        attack(recorder.running.url, recorder.running.body, RATE, total, Path(folder)) as load,
    ):
        time.sleep(_CALM_SECONDS)
        before = len(memory)
        with block():
            if fault is Fault.STOPPED:
                time.sleep(seconds / 4)
                # As in a cluster, a server that is shutting down gets no more requests.
                load.stop()
                _terminate(recorder.processes)
            else:
                time.sleep(seconds)
        answers = list(load.answers())
        records = _settled(recorder.records)
    accepted, lost, unclaimed = compare(answers, recorder.record, records)
    failures = Counter(failure(answer) for answer in answers if not answer.ok)
    return Outcome(accepted, lost, unclaimed, failures, memory[before - 1], max(memory[before - 1 :]))


def compare(answers: Sequence[Answer], record: Callable[[Answer], str], records: set[str]) -> tuple[int, int, int]:
    """How many requests were accepted, how many of these have no record, and how many records have no such request."""
    accepted = {record(answer) for answer in answers if answer.ok}
    return len(accepted), len(accepted - records), len(records - accepted)


def failure(answer: Answer) -> str:
    """The status of a response, with Lookbook's code of the error."""
    if not answer.status:
        return "no response"
    with suppress(ValueError, LookupError, TypeError):
        return f"{answer.status} {json.loads(answer.content)['error']['code']}"
    return str(answer.status)


@contextmanager
def _memory(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[list[float]]:
    """What the processes and their children use, in MB, measured again and again."""

    def used() -> float:
        return sum(process_tree.memory(process.pid) for process in processes)

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            found.append(used())

    found, ended = [used()], threading.Event()
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def _terminate(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """As the kubelet stops the containers of a pod."""
    for process in processes:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0, deadline - time.monotonic()))
    for process in processes:
        process.kill()
        process.wait()


def _settled(records: Callable[[], set[str]]) -> set[str]:
    """The records, once no more arrive."""
    found, changed = records(), time.monotonic()
    while time.monotonic() - changed < _QUIET_SECONDS:
        time.sleep(_POLL_SECONDS)
        if (now := records()) != found:
            found, changed = now, time.monotonic()
    return found
