"""Many requests at once, on one machine."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import requests
from PIL import Image

from tests.support.images import encoded
from tests.support.places import BAG
from tests.support.running import Service, until


@contextmanager
def liveness(service: Service) -> Iterator[list[float]]:
    """Asks /livez all the time; afterwards the list holds the seconds that each answer took."""
    taken: list[float] = []
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.liveness", str(service.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as asking:
        assert asking.stdout
        taken.append(float(asking.stdout.readline()))
        yield taken
        rest, _ = asking.communicate(timeout=60)
        taken += [float(line) for line in rest.splitlines()]
        assert asking.returncode == 0


def heavy() -> bytes:
    """A small file that takes long to decode."""
    return encoded(Image.new("RGB", (4900, 4900), (1, 2, 3)))


def kill_under_load(service: Service) -> None:
    """Kill every worker in the midst of writes: what was acknowledged must be found again."""
    acknowledged: list[str] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            try:
                response = service.send(BAG.read_bytes())
            except requests.RequestException:
                continue
            if response.status_code == 201:
                acknowledged.append(response.json()["id"])

    with ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(write) for _ in range(8)]
        for _ in range(3):
            before = len(acknowledged)
            until(lambda before=before: len(acknowledged) > before + 50)
            killed = service.workers()
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            until(lambda killed=killed: service.workers() and not set(killed) & set(service.workers()))
        stop.set()
        for writer in writers:
            writer.result()
    until(lambda: service.send(BAG.read_bytes()).status_code == 201)
    assert len(acknowledged) > 150
    assert set(acknowledged) <= service.all_ids()


def one_key_at_once(service: Service) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: service.send(BAG.read_bytes(), **{"Idempotency-Key": "the-key"}), range(20)))
    codes = Counter(answer.status_code for answer in answers)
    assert codes == {200: 19, 201: 1}, [answer.text for answer in answers]
    assert len({answer.text for answer in answers}) == 1
    assert service.all_ids() == {answers[0].json()["id"]}
