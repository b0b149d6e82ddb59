import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lookbook.server.affinity import choose

from tests.support.places import BAG
from tests.support.running import Service, until


@pytest.mark.parametrize(
    ("busy", "own", "home"),
    [
        ({0: 0.0, 1: 0.0}, 0.0, 0),
        ({0: 0.9, 1: 0.0}, 0.9, 0),
        ({0: 0.9, 1: 0.0}, 0.1, 1),
        ({0: 0.5, 1: 0.4}, 0.1, 0),
        ({0: 1.0, 1: 0.6, 2: 0.2, 3: 0.9}, 0.3, 2),
    ],
    ids=["idle", "busy with own work", "crowded", "others are no better", "idlest of four"],
)
def test_a_worker_moves_only_to_a_cpu_with_more_room(busy: dict[int, float], own: float, home: int) -> None:
    assert choose(busy, 0, own) == home


@pytest.mark.parametrize(
    ("busy", "own", "current", "home"),
    [
        ({0: 0.9, 1: 0.8}, 0.2, 0, None),
        ({0: 0.9, 1: 0.8}, 0.9, None, None),
        ({0: 0.7, 1: 0.6}, 1.0, None, 1),
        ({0: 1.0, 1: 0.4}, 1.0, 0, 0),
    ],
    ids=["crowded", "still crowded", "quiet again", "busy with own work"],
)
def test_a_worker_runs_anywhere_while_no_cpu_has_room(
    busy: dict[int, float], own: float, current: int | None, home: int | None
) -> None:
    assert choose(busy, current, own) == home


# Prints whether the main thread and another one are where they were moved to.
MOVE = """
import os, threading
from lookbook.server.affinity import move
end = threading.Event()
thread = threading.Thread(target=end.wait)
thread.start()
target = {max(os.sched_getaffinity(0))}
move(target)
print([os.sched_getaffinity(task) == target for task in (0, thread.native_id)])
end.set()
"""


def homes(service: Service) -> list[set[frozenset[int]]]:
    """The CPUs that each worker's threads may use."""
    return [
        {frozenset(os.sched_getaffinity(int(task.name))) for task in Path(f"/proc/{pid}/task").iterdir()}
        for pid in service.workers()
    ]


def test_a_worker_with_several_inferences_may_use_every_cpu(serve: Callable[..., Service]) -> None:
    service = serve(max_inferences=2).ready()
    assert service.send(BAG.read_bytes()).status_code == 201
    assert homes(service) == [{frozenset(os.sched_getaffinity(0))}]


def test_all_threads_of_a_worker_move_together(serve: Callable[..., Service]) -> None:
    """To one CPU, or to all while other processes keep every CPU busy."""
    service = serve(workers=2).ready()
    for _ in range(20):
        assert service.send(BAG.read_bytes()).status_code == 201
    until(lambda: [len(home) for home in homes(service)] == [1, 1])


def test_a_move_takes_the_threads_along() -> None:
    done = subprocess.run([sys.executable, "-c", MOVE], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[True, True]\n"
