"""The thread that removes expired rows. Tests: tests/unit/test_sqlite.py."""

import threading
import time
from contextlib import suppress

from lookbook.errors import StoreUnavailable
from lookbook.store.sqlite.database import Database

_INTERVAL_SECONDS = 1.0
_PAUSE_SECONDS = 0.02  # between two batches, so that others can write
_BATCH_ROWS = 500


class Sweeper:
    """Runs until stop(), whether or not anything is written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-sweeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_INTERVAL_SECONDS):
            # A failed sweep is repeated after the interval.
            with suppress(StoreUnavailable):
                while self._remove_batch() and not self._stopping.wait(_PAUSE_SECONDS):
                    pass

    def _remove_batch(self) -> bool:
        """Remove some expired rows; return whether there were any."""
        removed = 0
        with self._database.transaction() as connection:
            for table in ("predictions", "thumbnails", "idempotency_keys"):
                removed += connection.execute(
                    f"DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE expires <= ? LIMIT ?)",
                    (time.time(), _BATCH_ROWS),
                ).rowcount
        return removed > 0
