"""The progress of a batch command. Tests: tests/spark/test_batch.py."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lookbook.cli import output
from lookbook.job import rejected

if TYPE_CHECKING:
    from lookbook.spark.batch import Progress

_LOG_SECONDS = 60.0


@contextmanager
def progress_of(total: int) -> Iterator["Progress"]:
    """A progress bar if standard error is a terminal, otherwise a line a minute."""
    if not sys.stderr.isatty():
        yield _Lines(total).report
        return
    from lookbook.cli.progress import bar

    with bar(total) as advance:
        moved = 0

        def report(counts: Counter[str]) -> None:
            nonlocal moved
            for _ in range(counts.total() - moved):
                advance()
            moved = counts.total()

        yield report


class _Lines:
    """Reports the progress to standard error, one line a minute."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._started = self._reported = time.monotonic()
        output.complain(f"{total} images")

    def report(self, counts: Counter[str]) -> None:
        now = time.monotonic()
        if now - self._reported < _LOG_SECONDS or not counts:
            return
        self._reported = now
        rate = counts.total() / (now - self._started)
        left = (self._total - counts.total()) / rate
        output.complain(
            f"{counts.total()} of {self._total} images, {rate:.0f} a second, {rejected(counts).total()} rejected, "
            f"{left / 60:.0f} minutes left"
        )
