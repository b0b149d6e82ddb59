"""A load that counts every failure: no request is sent a second time."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import requests

from tests.support.cluster import URL
from tests.support.places import PHOTOS
from tests.support.running import until

_THREADS = 24
_RATE = 22


class Load:
    """`codes` counts answers by status and failures by name; `stored` maps each 2xx's id to its model's version."""

    def __init__(self, rate: float) -> None:
        self.codes: Counter[object] = Counter()
        self.stored: dict[str, str] = {}
        self.failures: list[tuple[float, str]] = []
        self.began = time.monotonic()
        self._interval = 1 / rate
        self._number = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._picture = (PHOTOS / "shirt.jpg").read_bytes()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def send(self, keep: bool) -> None:
        """Post at the shared rate, on one connection or on a new one for each request."""
        post = requests.Session().post if keep else requests.post
        while not self._stop.is_set():
            with self._lock:
                due = self.began + self._number * self._interval
                self._number += 1
            if self._stop.wait(max(0, due - time.monotonic())):
                return
            self._post(post)

    def stop(self) -> None:
        self._stop.set()

    def _post(self, post: Callable[..., requests.Response]) -> None:
        headers = {"Content-Type": "image/jpeg"}
        try:
            answer = post(f"{URL}/v1/predictions", self._picture, headers=headers, timeout=10)
        except requests.RequestException as error:
            self.codes[type(error).__name__] += 1
            self.failures.append((round(self.seconds, 1), str(error)))
            return
        self.codes[answer.status_code] += 1
        if answer.status_code == 201:
            record = answer.json()
            self.stored[record["id"]] = record["model"]["version"]
        else:
            self.failures.append((round(self.seconds, 1), f"{answer.status_code} {answer.text[:200]}"))

    def read_back(self) -> None:
        """Every acknowledged answer is there."""
        with ThreadPoolExecutor(8) as pool:
            lost = [id for id, there in zip(self.stored, pool.map(_is_stored, self.stored), strict=True) if not there]
        assert not lost, f"{len(lost)} of {len(self.stored)} acknowledged answers are lost"


def _is_stored(id: str) -> bool:
    """Asked again where the store does not answer yet."""
    answers: list[int] = []

    def answered() -> bool:
        answers.append(requests.get(f"{URL}/v1/predictions/{id}", timeout=10).status_code)
        return answers[-1] != 503

    until(answered)
    return answers[-1] == 200


@contextmanager
def load(rate: float = _RATE, at_least: float = 60) -> Iterator[Load]:
    """Requests at a steady rate while the context lasts, and for so many seconds at least."""
    running = Load(rate)
    with ThreadPoolExecutor(_THREADS) as pool:
        for number in range(_THREADS):
            pool.submit(running.send, number % 2 == 0)
        try:
            yield running
            time.sleep(max(0, at_least - running.seconds))
        finally:
            running.stop()
    # A load beyond what the pods can take may fall behind, an ordinary one may not.
    assert running.codes.total() >= 0.9 * min(rate, _RATE) * running.seconds, running.codes
    running.read_back()


def nothing_failed(running: Load) -> None:
    assert set(running.codes) == {201}, (running.codes, running.failures[:10])
