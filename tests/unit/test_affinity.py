import os
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
        ({0: 0.9, 1: 0.7}, 0.1, 0),
        ({0: 1.0, 1: 0.6, 2: 0.2, 3: 0.9}, 0.3, 2),
    ],
    ids=["idle", "busy with own work", "crowded", "others are no better", "idlest of four"],
)
def test_a_worker_moves_only_to_a_cpu_with_more_room(busy: dict[int, float], own: float, home: int) -> None:
    assert choose(busy, 0, own) == home


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


def test_all_threads_of_a_worker_share_one_cpu(serve: Callable[..., Service]) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    service = serve(workers=2).ready()
    for _ in range(20):
        assert service.send(BAG.read_bytes()).status_code == 201
    until(lambda: [[len(cpus) for cpus in home] for home in homes(service)] == [[1], [1]])
