"""Keeps a worker's threads on one CPU at a time.

The threads share Python's global lock. Passing it between CPUs doubles the CPU time of a request (`make bench`: 2.3 ms
instead of 1.2 ms), so a worker keeps its threads together, on the CPU that other processes use least.
"""

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

_INTERVAL_SECONDS = 0.25
# A worker moves only to gain this share of a CPU, so that two workers do not chase each other.
_MIN_GAIN = 0.25


def choose(busy: Mapping[int, float], current: int, own: float) -> int:
    """The CPU to use next: `busy` is the load of each CPU, 0 to 1; `own` is this process's load on `current`."""
    others = {cpu: load - own if cpu == current else load for cpu, load in busy.items()}
    best = min(others, key=others.__getitem__)
    return best if others[current] - others[best] > _MIN_GAIN else current


def keep_together(number: int) -> None:
    """Move this process to a CPU, at first the one with its number, and later to another that clearly has more room."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) > 1:
        home = allowed[number % len(allowed)]
        _move(home)
        threading.Thread(target=_rebalance, args=(frozenset(allowed), home), name="affinity", daemon=True).start()


def _rebalance(allowed: frozenset[int], home: int) -> None:
    before, own_before = _times(allowed), time.process_time()
    while True:
        time.sleep(_INTERVAL_SECONDS)
        after, own_after = _times(allowed), time.process_time()
        busy = {cpu: _load(before[cpu], after[cpu]) for cpu in after}
        found = choose(busy, home, (own_after - own_before) / _INTERVAL_SECONDS)
        if found != home:
            home = found
            _move(home)
        before, own_before = after, own_after


def _move(cpu: int) -> None:
    for task in Path("/proc/self/task").iterdir():
        try:
            os.sched_setaffinity(int(task.name), {cpu})
        except ProcessLookupError:
            continue  # the thread has just ended


def _times(allowed: frozenset[int]) -> dict[int, tuple[int, int]]:
    """Idle and total time of each CPU since boot, in ticks. Source: proc(5)."""
    found = {}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in allowed:
            times = [int(field) for field in fields[:8]]
            found[int(name[3:])] = (times[3] + times[4], sum(times))
    return found


def _load(before: tuple[int, int], after: tuple[int, int]) -> float:
    total = after[1] - before[1]
    return 1 - (after[0] - before[0]) / total if total else 0.0
