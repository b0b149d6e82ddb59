"""One evaluation at a time in each worker, so that predictions keep most of its CPU."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lookbook.errors import Busy


class Turns:
    """Requests that compute for long wait for each other, a few of them and not for long."""

    def __init__(self, waiting: int = 4, seconds: float = 5) -> None:
        self._places = threading.BoundedSemaphore(1 + waiting)
        self._seconds = seconds
        self._turn = threading.Lock()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Raises Busy if many requests wait, or the wait is long."""
        if not self._places.acquire(blocking=False):
            raise Busy("this worker is already evaluating, and others wait for it; try again later")
        try:
            if not self._turn.acquire(timeout=self._seconds):
                raise Busy("this worker is still evaluating for another request; try again later")
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()
