import signal
import threading
from collections.abc import Iterator

import pytest
from lookbook.cli.output import Result
from lookbook.cli.runner import Runner
from lookbook.errors import ServerUnreachable

PATHS = [str(number) for number in range(100)]


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as Python handles it, also if the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def result(path: str) -> Result:
    return {"path": path}


def test_results_come_in_order_although_the_first_is_last() -> None:
    others_done = threading.Event()

    def work(path: str) -> Result:
        if path == "5":
            others_done.set()
        if path == "0":
            assert others_done.wait(30)
        return result(path)

    emitted: list[Result] = []
    Runner(work, emitted.append, jobs=2).run(PATHS)
    assert emitted == list(map(result, PATHS))


def test_work_stays_close_to_what_is_emitted() -> None:
    started: list[str] = []

    def work(path: str) -> Result:
        started.append(path)
        return result(path)

    def emit(done: Result) -> None:
        assert len(started) <= int(done["path"]) + 8

    Runner(work, emit, jobs=2).run(PATHS)


def test_what_is_finished_is_emitted_before_an_error() -> None:
    others_done = threading.Event()

    def work(path: str) -> Result:
        if path == "0":
            assert others_done.wait(30)
            raise ServerUnreachable
        if path == "7":
            others_done.set()
        return result(path)

    emitted: list[Result] = []
    with pytest.raises(ServerUnreachable):
        Runner(work, emitted.append, jobs=2).run(PATHS[:8])
    assert [done["path"] for done in emitted][:6] == ["1", "2", "3", "4", "5", "6"]


def test_ctrl_c_does_not_interrupt_emit() -> None:
    emitted: list[Result] = []

    def emit(done: Result) -> None:
        if not emitted:
            signal.raise_signal(signal.SIGINT)
        emitted.append(done)

    with pytest.raises(KeyboardInterrupt):
        Runner(result, emit, jobs=2).run(PATHS)
    assert 1 <= len(emitted) <= 8
    assert emitted == list(map(result, PATHS[: len(emitted)]))


def test_a_second_ctrl_c_interrupts_emit() -> None:
    emitted: list[Result] = []

    def emit(done: Result) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        emitted.append(done)

    with pytest.raises(KeyboardInterrupt):
        Runner(result, emit, jobs=2).run(PATHS[:1])
    assert emitted == []


def test_ctrl_c_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    emitted: list[Result] = []

    def emit(done: Result) -> None:
        signal.raise_signal(signal.SIGINT)
        emitted.append(done)

    Runner(result, emit, jobs=2).run(PATHS)
    assert len(emitted) == len(PATHS)
    assert signal.signal(signal.SIGINT, signal.default_int_handler) is signal.SIG_IGN
