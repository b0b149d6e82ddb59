import os
import signal
from collections.abc import Callable

import requests

from tests.conftest import BAG
from tests.running import Service, until


def total(service: Service, name: str) -> float:
    lines = requests.get(f"{service.url}/metrics", timeout=10).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def test_counts_are_right_over_all_workers_also_after_one_has_died(serve: Callable[..., Service]) -> None:
    service = serve(workers=3).ready()
    until(lambda: total(service, "lookbook_model_info") == 1)
    for _ in range(30):
        assert service.send(BAG.read_bytes()).status_code == 201
    assert total(service, 'lookbook_predictions_total{label="Bag"}') == 30
    dead = service.workers()[0]
    os.kill(dead, signal.SIGKILL)
    until(lambda: len(set(service.workers()) - {dead}) == 3)
    assert total(service, 'lookbook_predictions_total{label="Bag"}') == 30
    assert total(service, 'lookbook_requests_total{code="201",route="/v1/predictions"}') == 30
    assert total(service, "lookbook_in_flight") == 0
    until(lambda: total(service, "lookbook_store_up") == 1)


def test_the_parts_of_a_request_are_timed(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    service.send(BAG.read_bytes())
    for part in ("decode", "inference", "store"):
        assert total(service, f"lookbook_{part}_seconds_count") == 1
        assert 0 < total(service, f"lookbook_{part}_seconds_sum") < 10
