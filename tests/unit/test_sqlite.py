"""What only the SQLite store must do itself: remove expired rows, and share one file among processes."""

import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from lookbook.errors import StoreUnavailable
from lookbook.prediction import Prediction, id_maker, sort_key
from lookbook.store import Entry, Page, Query
from lookbook.store.sqlite import SqliteStore, samples
from lookbook.store.sqlite.database import Database
from lookbook.store.sqlite.writer import Writer

from tests.support.predictions import made_at, walk
from tests.support.running import until

NOW = datetime.now(UTC)
# Enough that some open a file while another creates its tables.
PROCESSES, FILES = 16, 100


@contextmanager
def opened(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(str(path), lambda _: None)) as store:
        yield store


def expire(path: Path, count: int) -> None:
    """Insert rows that are a minute old and expired a second ago."""
    make = id_maker(clock=lambda: int((NOW - timedelta(minutes=1)).timestamp() * 10**9))
    rows = [(sort_key(make()), time.time() - 1) for _ in range(count)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO predictions VALUES (?, 'a', '[\"Bag\"]', '[1.0]', 'm', '1', ?)", rows)
        connection.executemany("INSERT INTO thumbnails VALUES (?, 'thumbnail', ?)", rows)


def rows_in(path: Path) -> tuple[int, int]:
    """The numbers of predictions and thumbnails in the file, expired or not."""
    with closing(sqlite3.connect(path)) as connection:
        counts: tuple[int, int] = connection.execute(
            "SELECT (SELECT count(*) FROM predictions), (SELECT count(*) FROM thumbnails)"
        ).fetchone()
    return counts


def put(path: Path) -> list[Prediction]:
    """Store a prediction newer and one older than those of expire(); returns them newest first."""
    rows = [made_at(NOW), made_at(NOW - timedelta(hours=1))]
    with opened(path) as store:
        for row in rows:
            store.put(Entry(row, b"thumbnail"))
    return rows


def test_a_page_skips_a_limited_number_of_expired_rows(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    new, old = put(path)
    expire(path, 50_000)
    with opened(path) as store:
        page = store.page(Query(10))
        assert page.items == (new,)
        assert page.next is not None
        assert walk(store, 10) == [new, old]


def test_expired_rows_are_removed_without_any_write(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    rows = put(path)
    expire(path, 2_000)
    with opened(path) as store:
        until(lambda: rows_in(path) == (2, 2))
        assert store.page(Query(10)) == Page(tuple(rows), None)


def open_each(folder: Path, together: Barrier) -> None:
    for attempt in range(FILES):
        together.wait(60)
        with opened(folder / f"{attempt}.sqlite"):
            pass


def test_many_processes_open_a_new_file_at_the_same_time(tmp_path: Path) -> None:
    # A process with threads must not be forked.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    together = context.Barrier(PROCESSES)
    processes = [context.Process(target=open_each, args=(tmp_path, together)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert {rows_in(tmp_path / f"{attempt}.sqlite") for attempt in range(FILES)} == {(0, 0)}


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_text("not a database" * 100)
    with pytest.raises(StoreUnavailable, match=r"store\.sqlite: file is not a database"):
        SqliteStore(str(path), lambda _: None)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "read-only"
    folder.mkdir()
    (folder / "empty").touch()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("only root can mount a read-only file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_read_only_file_system_is_refused(read_only: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"store\.sqlite: .*: set LOOKBOOK_SQLITE_PATH to a file in a folder"):
        SqliteStore(str(read_only / "store.sqlite"), lambda _: None)


def test_a_store_that_became_read_only_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "store.sqlite")
    mount = ["mount", "--bind", str(tmp_path), str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a read-only file system")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", tmp_path], check=True)
        with pytest.raises(
            StoreUnavailable, match="set LOOKBOOK_SQLITE_PATH to a file in a folder that this user can write to"
        ):
            SqliteStore(str(tmp_path / "store.sqlite"), lambda _: None)
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


@pytest.mark.parametrize("path", ["", "nowhere/store.sqlite"], ids=["a folder", "in no folder"])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open database file"):
        SqliteStore(str(tmp_path / path), lambda _: None)


def remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def replace(path: Path) -> None:
    remove(path)
    with opened(path) as store:
        store.put(Entry(made_at(NOW - timedelta(hours=2))))


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.mkdir()


@pytest.mark.parametrize("lose", [remove, replace, remove_folder, lambda path: Path(f"{path}-wal").unlink()])
def test_what_is_acknowledged_is_in_the_file_at_the_path(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    path = tmp_path / "data/store.sqlite"
    path.parent.mkdir()
    with opened(path) as store:
        store.put(Entry(made_at(NOW - timedelta(hours=1))))
        lose(path)
        acknowledged = made_at(NOW)
        store.put(Entry(acknowledged, b"thumbnail"))
        listed = store.page(Query(10)).items
    assert acknowledged in listed
    with opened(path) as store:
        assert store.page(Query(10)).items == listed


def test_a_file_that_is_lost_during_a_write_is_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    database = Database(str(path), lambda _: None)

    def lose(_: sqlite3.Connection) -> None:
        remove(path)

    with pytest.raises(StoreUnavailable, match="was removed or replaced; send the request again"):
        Writer(database).run(lose)  # each time
    database.close()


def test_a_path_that_is_gone_is_reported_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "data/store.sqlite"
    path.parent.mkdir()
    reports: list[float] = []
    with closing(SqliteStore(str(path), reports.append)) as store:
        shutil.rmtree(path.parent)
        with pytest.raises(StoreUnavailable, match="unable to open database file"):
            store.put(Entry(made_at(NOW)))
        assert "unable to open" in str(store.status().failure)
        path.parent.mkdir()
        store.put(Entry(made_at(NOW)))
    assert reports == [1, 0, 1]


class Traced(Writer):
    """Counts its transactions, and lets a test hold one of them open."""

    def __init__(self, path: Path) -> None:
        self.database = Database(str(path), lambda _: None)
        super().__init__(self.database)
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.transactions = 0

    def trace(self, statement: str) -> None:
        self.transactions += statement.startswith("BEGIN")

    def hold(self, connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(self.trace)
        self.begun.set()
        assert self.go_on.wait(10)

    def run_together(self, *functions: Callable[[sqlite3.Connection], int]) -> list["Future[int]"]:
        """Run them while an earlier transaction is open."""
        with ThreadPoolExecutor(len(functions) + 1) as pool:
            held = pool.submit(self.run, self.hold)
            assert self.begun.wait(10)
            running = [pool.submit(self.run, function) for function in functions]
            until(lambda: len(self._waiting) == len(functions))
            self.go_on.set()
            held.result()
        return running


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Traced]:
    writer = Traced(tmp_path / "store.sqlite")
    yield writer
    writer.database.close()


def note(name: int) -> Callable[[sqlite3.Connection], int]:
    def write(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO idempotency_keys VALUES (?, x'', x'', 9e9)", (str(name),))
        return name

    return write


def noted(writer: Traced) -> int:
    with writer.database.connection() as connection:
        (count,) = connection.execute("SELECT count(*) FROM idempotency_keys WHERE expires > 0").fetchone()
    return int(count)


def test_writes_that_wait_share_a_transaction(traced: Traced) -> None:
    done = traced.run_together(*(note(name) for name in range(10)))
    assert [future.result() for future in done] == list(range(10))
    assert noted(traced) == 10
    assert traced.transactions <= 1  # on the connection that the first one had; others were not needed


def test_a_write_that_fails_takes_no_other_with_it(traced: Traced) -> None:
    failing, *done = traced.run_together(lambda _: 1 // 0, *(note(name) for name in range(10)))
    with pytest.raises(ZeroDivisionError):
        failing.result()
    assert [future.result() for future in done] == list(range(10))
    assert noted(traced) == 10


def test_days_are_found_without_reading_their_samples(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with opened(path):
        pass
    steps: list[None] = []
    with closing(sqlite3.connect(path)) as connection:
        for day in (20_000, 20_001):
            rows = [(os.urandom(16), "model", "1.2.3", day, number / 5_000, 1) for number in range(5_000)]
            connection.executemany("INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.set_progress_handler(lambda: steps.append(None), 1)
        found = samples.read_days(connection, 0, 30_000)
    assert [day.day for day in found] == [20_001, 20_000]
    assert len(steps) < 500
