"""The thread that removes expired rows. Tests: tests/unit/test_sqlite.py."""

import sqlite3
import threading
import time
from contextlib import suppress

from lookbook.errors import StoreUnavailable
from lookbook.store.sqlite.writer import Writer

_INTERVAL_SECONDS = 1.0
_PAUSE_SECONDS = 0.02  # between two batches, so that others can write
_BATCH_ROWS = 500
_COLUMNS = {  # of each table, one that identifies a row; triggers remove what belongs to a row
    "predictions": "key",
    "thumbnails": "key",
    "idempotency_keys": "key",
    "inputs": "key",
    "frames": "rowid",
    "review_claims": "key",
    "comparisons": "key",
}


class Sweeper:
    """Runs until stop(), whether or not anything is written."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
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
        return self._writer.run(_remove_batch) > 0


def _remove_batch(connection: sqlite3.Connection) -> int:
    removed = 0
    for table, column in _COLUMNS.items():
        removed += connection.execute(
            f"DELETE FROM {table} WHERE {column} IN (SELECT {column} FROM {table} WHERE expires <= ? LIMIT ?)",
            (time.time(), _BATCH_ROWS),
        ).rowcount
    return removed
