"""One evaluation at a time in each worker, so that predictions keep most of its CPU."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lookbook.errors import Busy


class Turns:
    """Lets one long computation run at a time; a few requests wait for it, for some seconds."""

    def __init__(self, waiting: int = 4, seconds: float = 5) -> None:
        self._places = threading.BoundedSemaphore(1 + waiting)
        self._seconds = seconds
        self._turn = threading.Lock()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Raises Busy if too many requests are waiting, or if the wait is too long."""
        if not self._places.acquire(blocking=False):
            raise Busy("this worker is busy with an evaluation, and other requests wait for it; try again later")
        try:
            if not self._turn.acquire(timeout=self._seconds):
                raise Busy("this worker is still busy with the evaluation of another request; try again later")
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()
