"""When the next worker may start. Without pauses, workers that end at once would take a whole CPU and fill the log."""

import time

SOON_SECONDS = 10
_MAX_PAUSE_SECONDS = 30


class Restarts:
    """Pauses that double while workers end soon after their start."""

    def __init__(self) -> None:
        self._soon = 0
        self._due = 0.0

    def ended(self, seconds: float, workers: int) -> float:
        """A worker has ended after `seconds`; `workers` is how many there should be. Returns the pause in seconds."""
        self._soon = self._soon + 1 if seconds < SOON_SECONDS else 0
        # All of the workers may end at once, and then start again at once.
        rounds = (self._soon - 1) // workers
        pause = min(2.0 ** (rounds - 1), _MAX_PAUSE_SECONDS) if rounds > 0 else 0.0
        self._due = time.monotonic() + pause
        return pause

    def due(self) -> bool:
        """Whether a worker may start now."""
        return time.monotonic() >= self._due
