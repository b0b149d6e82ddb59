"""What only SQLite's store has to do by itself: remove what has expired, and open one file from many sides."""

import multiprocessing
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from lookbook.errors import StoreUnavailable
from lookbook.prediction import Prediction, id_maker, sort_key
from lookbook.store import Page, Query
from lookbook.store.sqlite import SqliteStore

from tests.support.predictions import made_at, walk
from tests.support.running import until

NOW = datetime.now(UTC)
# So many that some meet while one of them makes the tables.
PROCESSES, FILES = 16, 100


@contextmanager
def opened(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(str(path), lambda _: None)) as store:
        yield store


def expire(path: Path, count: int) -> None:
    """Put in rows that are a minute old and expired a second ago."""
    make = id_maker(clock=lambda: int((NOW - timedelta(minutes=1)).timestamp() * 10**9))
    rows = [(sort_key(make()), time.time() - 1) for _ in range(count)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO predictions VALUES (?, 'a', '[\"Bag\"]', '[1.0]', 'm', '1', ?)", rows)
        connection.executemany("INSERT INTO thumbnails VALUES (?, 'picture', ?)", rows)


def rows_in(path: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT (SELECT count(*) FROM predictions), (SELECT count(*) FROM thumbnails)"
        ).fetchone()


def put(path: Path) -> list[Prediction]:
    """A prediction before and one after the expired ones, newest first."""
    rows = [made_at(NOW), made_at(NOW - timedelta(hours=1))]
    with opened(path) as store:
        for row in rows:
            store.put(row, b"picture")
    return rows


def test_a_page_walks_over_a_bounded_number_of_expired_rows(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    new, old = put(path)
    expire(path, 50_000)
    with opened(path) as store:
        page = store.page(Query(10))
        assert page.items == (new,)
        assert page.next is not None
        assert walk(store, 10) == [new, old]


def test_expired_rows_are_removed_while_nobody_writes(tmp_path: Path) -> None:
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


def test_many_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    # Forked from a process without threads.
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


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_text("not a database" * 100)
    with pytest.raises(StoreUnavailable, match=r"store\.sqlite: file is not a database"):
        SqliteStore(str(path), lambda _: None)
