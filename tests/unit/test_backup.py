"""`lookbook backup` and `lookbook restore`, with both stores."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from lookbook.backup import write_backup
from lookbook.settings import Settings
from lookbook.store import Entry, Store
from lookbook.store.opening import open_store, open_tables
from lookbook.store.tables import Row

from tests.support.commands import lookbook
from tests.support.predictions import fill, made_at, walk
from tests.support.running import until
from tests.support.truths import day_of, judge, sampled, today

LONG_AGO = datetime.now(UTC) - timedelta(days=400)
MOMENTS = [LONG_AGO + timedelta(hours=number) for number in range(20)] + [datetime.now(UTC)] * 20


@pytest.fixture(params=["sqlite", pytest.param("cassandra", marks=pytest.mark.cassandra)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """A store that is empty."""
    if request.param == "cassandra":
        found: Settings = request.getfixturevalue("cassandra")
        return found
    return Settings(sqlite_path=str(tmp_path / "store.sqlite"))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = open_store(settings, lambda _: None)
    until(lambda: opened.status().reached)
    yield opened
    opened.close()


@pytest.fixture
def run(settings: Settings) -> Callable[..., str]:
    """Runs a command on the store; returns what it printed."""
    names = ("store", "sqlite_path", "cassandra_port", "cassandra_username", "cassandra_password", "cassandra_keyspace")
    environment: dict[str, Any] = {f"LOOKBOOK_{name.upper()}": getattr(settings, name) for name in names}

    def act(*arguments: object, code: int = 0) -> str:
        result = lookbook(*arguments, **environment)
        assert result.returncode == code, result.stderr
        return result.stderr if code else result.stdout

    return act


@pytest.fixture
def empty(settings: Settings, request: pytest.FixtureRequest) -> Callable[[], None]:
    """Removes everything from the store, but for what it remembers of deletions."""

    def act() -> None:
        if settings.store == "cassandra":
            session = request.getfixturevalue("cassandra_session")
            for table in ("predictions", "buckets", "thumbnails", "samples", "sample_days", "inputs", "judgments"):
                session.execute(f"TRUNCATE {settings.cassandra_keyspace}.{table}", timeout=30)
        else:
            for path in Path(settings.sqlite_path).parent.glob("store.sqlite*"):
                path.unlink()

    return act


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_everything_comes_back(
    store: Store, run: Callable[..., str], empty: Callable[[], None], settings: Settings, tmp_path: Path
) -> None:
    predictions = fill(store, MOMENTS, shards=4)
    entries = sampled(today() - timedelta(days=1), 3)
    store.put_all(entries)
    judgment = judge(store, entries[0].prediction, "Dress")
    kept = {prediction.id for prediction in [*predictions, *(entry.prediction for entry in entries)]}
    day = day_of(entries[0].prediction)
    samples = store.samples(day, 10)
    folder = tmp_path / "backups"
    folder.mkdir()
    printed = run("backup", folder)
    (name,) = names(folder)
    assert printed.startswith("backup: ")
    assert printed.endswith(f" rows in {folder / name}\n")
    empty()
    assert run("restore", folder) == printed.replace("backup: ", "restore: ").replace(" in ", " from ")
    restored = open_store(settings, lambda _: None)
    until(lambda: restored.status().reached)
    assert {prediction.id for prediction in walk(restored, 7)} == kept
    assert (restored.samples(day, 10), len(samples)) == (samples, 3)
    assert day in restored.sampled_days(day.day, day.day)
    assert restored.thumbnail(entries[0].prediction.id) == b"thumbnail"
    assert restored.input(entries[0].prediction.id) == entries[0].input
    assert restored.judgments(entries[0].prediction.id) == (judgment,)
    restored.close()


def test_a_restore_keeps_what_is_there(store: Store, run: Callable[..., str], tmp_path: Path) -> None:
    old = fill(store, MOMENTS)
    run("backup", tmp_path)
    (new,) = fill(store, [datetime.now(UTC) + timedelta(seconds=1)])
    run("restore", tmp_path)
    assert walk(store, 7) == [new, *old]


@pytest.mark.cassandra
def test_cassandra_remembers_deletions(cassandra: Settings) -> None:
    store = open_store(cassandra, lambda _: None)
    until(lambda: store.status().reached)
    deleted, kept = fill(store, MOMENTS[:2])
    with closing(open_tables(cassandra)) as tables:
        rows = list(tables.read())
        store.delete(deleted.id)
        tables.write(rows)
    assert walk(store, 7) == [kept]
    store.close()


def expirations(settings: Settings) -> dict[str, float | None]:
    """When the rows of each table expire, for tables with one row."""
    with closing(open_tables(settings)) as tables:
        return {row.table: row.expires or row.values.get("expires") for row in tables.read()}


def test_a_restore_does_not_prolong_the_retention(settings: Settings, empty: Callable[[], None]) -> None:
    limited = replace(settings, retention=3600)
    store = open_store(limited, lambda _: None)
    until(lambda: store.status().reached)
    store.put(Entry(made_at(datetime.now(UTC)), b"thumbnail"))
    store.close()
    before = expirations(limited)
    with closing(open_tables(limited)) as tables:
        rows = list(tables.read())
    empty()
    with closing(open_tables(replace(settings, retention=2 * 3600))) as tables:
        tables.write(rows)
    after = expirations(limited)
    for table in ("predictions", "thumbnails"):
        assert after[table] == pytest.approx(before[table], abs=3)


@pytest.mark.usefixtures("store")
def test_only_the_newest_backups_are_kept(run: Callable[..., str], tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "mine.txt").touch()
    run("backup", folder)
    first = names(folder)[0]
    run("backup", folder)
    run("backup", folder, "--keep=2")
    assert len(names(folder)) == 3
    assert first not in names(folder)
    assert "mine.txt" in names(folder)


def backup_file(folder: Path, rows: int = 3) -> Path:
    return write_backup(folder, "sqlite", (Row("predictions", {"key": f"{number:032x}"}) for number in range(rows)))[0]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def cut(path: Path) -> None:
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(lines[:-1])))


def rename(path: Path) -> None:
    path.write_bytes(gzip.compress(b'{"anything": 1}\n'))


def move(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b'"sqlite"', b'"cassandra"')))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (truncate, "cannot read"),
        (damage, "cannot read"),
        (cut, "is incomplete: use another backup"),
        (rename, "is not a backup that this version can read"),
        (move, "is a backup of cassandra, not of sqlite: set LOOKBOOK_STORE"),
    ],
)
def test_a_damaged_backup_changes_nothing(harm: Callable[[Path], None], reason: str, tmp_path: Path) -> None:
    path = backup_file(tmp_path)
    harm(path)
    result = lookbook("restore", path, LOOKBOOK_SQLITE_PATH=tmp_path / "store.sqlite")
    assert result.returncode == 1
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "store.sqlite").exists()


def test_a_backup_that_breaks_off_is_not_there(tmp_path: Path) -> None:
    def rows() -> Iterator[Row]:
        yield Row("predictions", {})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_backup(tmp_path, "sqlite", rows())
    assert names(tmp_path) == ["lookbook.partial"]


def test_a_folder_without_backups_is_named(tmp_path: Path) -> None:
    result = lookbook("restore", tmp_path)
    assert "contains no lookbook-*.jsonl.gz: name a backup or a folder with backups" in result.stderr
    assert result.returncode == 1


def test_without_the_file_of_the_store_there_is_no_backup(tmp_path: Path) -> None:
    result = lookbook("backup", tmp_path, LOOKBOOK_SQLITE_PATH=tmp_path / "none.sqlite")
    assert "cannot read" in result.stderr
    assert "check LOOKBOOK_SQLITE_PATH" in result.stderr
    assert names(tmp_path) == ["lookbook.partial"]
