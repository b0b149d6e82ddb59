"""What a process and its descendants have used, as the kernel counts it."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_GONE = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time of the living processes, and the context switches of their living threads."""

    cpu_seconds: float
    switches: int


def usage(pid: int) -> Usage:
    tree = list(processes(pid))
    return Usage(sum(map(_cpu_seconds, tree)), sum(map(_switches, tree)))


def memory(pid: int) -> float:
    """Resident memory in MB (a million bytes each); what processes share is counted once."""
    return sum(_field(Path(f"/proc/{each}/smaps_rollup"), "Pss:") for each in processes(pid)) * 1024 / 1e6


def processes(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(*_GONE):
            for child in children.read_text().split():
                yield from processes(int(child))


def _cpu_seconds(pid: int) -> float:
    with suppress(*_GONE):
        # The second field, the command in parentheses, may contain spaces: split after it, see proc_pid_stat(5).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0


def _switches(pid: int) -> int:
    return sum(
        _field(status, name)
        for status in Path(f"/proc/{pid}/task").glob("*/status")
        for name in ("voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:")
    )


def _field(file: Path, name: str) -> int:
    """The number in a line of the form `name number`."""
    with suppress(*_GONE):
        return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(name))
    return 0
