"""Load on the service that counts every failure: no request is retried."""

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
    """`codes` counts responses by status and failures by name; `stored` has the model's version for each stored id."""

    def __init__(self, rate: float) -> None:
        self.codes: Counter[object] = Counter()
        self.stored: dict[str, str] = {}
        self.failures: list[tuple[float, str]] = []
        self.began = time.monotonic()
        self._interval = 1 / rate
        self._number = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._image = (PHOTOS / "shirt.jpg").read_bytes()

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
            response = post(f"{URL}/v1/predictions", self._image, headers=headers, timeout=10)
        except requests.RequestException as error:
            self.codes[type(error).__name__] += 1
            self.failures.append((round(self.seconds, 1), str(error)))
            return
        self.codes[response.status_code] += 1
        if response.status_code == 201:
            prediction = response.json()
            self.stored[prediction["id"]] = prediction["model"]["version"]
        else:
            self.failures.append((round(self.seconds, 1), f"{response.status_code} {response.text[:200]}"))

    def read_back(self) -> None:
        """Check that every acknowledged prediction is stored."""
        with ThreadPoolExecutor(8) as pool:
            lost = [id for id, there in zip(self.stored, pool.map(_is_stored, self.stored), strict=True) if not there]
        assert not lost, f"{len(lost)} of {len(self.stored)} acknowledged predictions are lost"


def _is_stored(id: str) -> bool:
    """Whether the prediction can be read; asks again while the store is unavailable."""
    codes: list[int] = []

    def is_known() -> bool:
        codes.append(requests.get(f"{URL}/v1/predictions/{id}", timeout=10).status_code)
        return codes[-1] != 503

    until(is_known)
    return codes[-1] == 200


@contextmanager
def load(rate: float = _RATE, at_least: float = 60) -> Iterator[Load]:
    """Sends requests at a steady rate while the context lasts, and for at least `at_least` seconds."""
    running = Load(rate)
    with ThreadPoolExecutor(_THREADS) as pool:
        for number in range(_THREADS):
            pool.submit(running.send, number % 2 == 0)
        try:
            yield running
            time.sleep(max(0, at_least - running.seconds))
        finally:
            running.stop()
    # A load beyond what the pods can handle may fall behind its rate; an ordinary load may not.
    assert running.codes.total() >= 0.9 * min(rate, _RATE) * running.seconds, running.codes
    running.read_back()


def nothing_failed(running: Load) -> None:
    assert set(running.codes) == {201}, (running.codes, running.failures[:10])
