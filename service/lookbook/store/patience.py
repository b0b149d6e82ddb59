"""Calls that wait for a store. Tests: tests/unit/test_patience.py."""

import time
from collections.abc import Callable
from typing import TypeVar

from lookbook.errors import StoreUnavailable

_T = TypeVar("_T")

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 10.0


def patiently(call: Callable[[], _T], seconds: float) -> _T:
    """Repeat a call while the store is unavailable, with growing pauses, at most for `seconds`."""
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE_SECONDS
    while True:
        try:
            return call()
        except StoreUnavailable:
            if time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
