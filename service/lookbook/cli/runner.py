"""Runs work for many paths at once, and emits every result in the order of the paths."""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType

from lookbook.cli.output import Result
from lookbook.errors import ServerUnreachable

# Per thread, so that one slow path does not leave the other threads without work.
_AHEAD = 4


class Runner:
    """Calls `work` for many paths on several threads, and `emit` with each result, in the order of the paths.

    An interrupted run emits what is finished before it raises: a server has stored it. Only the main thread emits.
    """

    def __init__(self, work: Callable[[str], Result], emit: Callable[[Result], object], jobs: int) -> None:
        self._work, self._emit = work, emit
        self._limit = _AHEAD * jobs
        self._pool = ThreadPoolExecutor(jobs)
        self._pending: deque[Future[Result]] = deque()
        self._interrupts = _Interrupts()

    def run(self, paths: Iterable[str]) -> None:
        """Raises KeyboardInterrupt, ServerUnreachable, and whatever `emit` raises."""
        try:
            with self._interrupts:
                self._run(paths)
        except (KeyboardInterrupt, ServerUnreachable):
            self._emit_finished()
            raise

    def _run(self, paths: Iterable[str]) -> None:
        try:
            for path in paths:
                if len(self._pending) == self._limit:
                    self._emit_next()
                with self._interrupts.held():
                    self._pending.append(self._pool.submit(self._work, path))
            while self._pending:
                self._emit_next()
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _emit_next(self) -> None:
        result = self._pending[0].result()
        with self._interrupts.held():
            self._pending.popleft()
            self._emit(result)

    def _emit_finished(self) -> None:
        for future in self._pending:
            if future.done() and not future.cancelled() and not future.exception():
                self._emit(future.result())


class _Interrupts:
    """Ctrl-C, which can be held back for a moment; a second one cannot."""

    def __init__(self) -> None:
        self._holding = self._pending = False

    def __enter__(self) -> None:
        # A script's background job ignores Ctrl-C, and must keep ignoring it.
        self._ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._ours:
            signal.signal(signal.SIGINT, self._interrupt)

    def __exit__(self, *_: object) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at the end of the block, not inside it."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._pending:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if not self._holding or self._pending:
            signal.default_int_handler(number, frame)
        self._pending = True
