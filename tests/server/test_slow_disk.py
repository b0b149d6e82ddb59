"""A disk that is slow to flush slows predictions down, and refuses none."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.slow_disk import slow_flushes
from tests.support.places import BAG
from tests.support.requirements import lacking
from tests.support.running import Service


@pytest.mark.parametrize("clients", [3, 8])
def test_nothing_is_refused(serve: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, clients: int) -> None:
    if not shutil.which("cc"):
        lacking("no C compiler: install gcc to delay the flushes", "COMPILER")
    with slow_flushes(50) as delay:
        for name, value in delay.items():
            monkeypatch.setenv(name, value)
        service = serve().ready()
        with ThreadPoolExecutor(clients) as pool:
            responses = list(pool.map(lambda _: service.send(BAG.read_bytes()), range(10 * clients)))
    assert {response.status_code for response in responses} == {201}
    assert {response.json()["id"] for response in responses} == service.all_ids()
