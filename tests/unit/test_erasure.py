"""What is left on the disk of a deleted or expired prediction: nothing of its image, its labels, or its judgments."""

import secrets
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cassandra.cluster import Session
from lookbook.prediction import Prediction, id_maker
from lookbook.settings import Settings
from lookbook.store import Comparison, DayFrame, Entry, Flip, Input, Store
from lookbook.store.cassandra import CassandraStore
from lookbook.store.cassandra.schema import apply_schema
from lookbook.store.sqlite import SqliteStore

from tests.support.places import CONTAINER
from tests.support.predictions import made_at
from tests.support.requirements import lacking
from tests.support.running import docker, until
from tests.support.truths import day_of, judge

SECRETS = {
    name: secrets.token_hex(16)
    for name in ("file name", "label", "thumbnail", "input", "judgment", "annotator", "withdrawn", "flip", "frame")
}


def store_secrets(store: Store) -> Prediction:
    """A prediction; each of SECRETS is in some table."""
    top = ((SECRETS["label"], 0.9), ("Bag", 0.1))
    prediction = replace(made_at(datetime.now(UTC), name=SECRETS["file name"]), top=top)
    input = Input("pixels", SECRETS["input"].encode())
    store.put(Entry(prediction, SECRETS["thumbnail"].encode(), 1.0, input))
    judge(store, prediction, SECRETS["judgment"], SECRETS["annotator"])
    judge(store, prediction, None, withdraws=judge(store, prediction, SECRETS["withdrawn"]).id)
    flip = Flip(prediction.id, "Bag", SECRETS["flip"], 0.5)
    store.put_comparison(Comparison(id_maker()(), "model/1.2.3", "model/2.0.0", "{}"), [flip])
    store.put_frame(day_of(prediction), DayFrame(SECRETS["frame"].encode(), b""), time.time_ns() // 1000)
    return prediction


def in_file(path: Path) -> set[str]:
    """The names of the secrets that are in a SQLite file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    return {name for name, secret in SECRETS.items() if secret.encode() in data}


def test_nothing_is_left_in_a_file_after_a_deletion(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with closing(SqliteStore(str(path), lambda _: None)) as store:
        prediction = store_secrets(store)
        assert in_file(path) == SECRETS.keys()
        assert store.delete(prediction.id)
        assert in_file(path) == set()


def test_nothing_is_left_in_a_file_after_the_retention(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with closing(SqliteStore(str(path), lambda _: None, retention=1)) as store:
        prediction = store_secrets(store)
        until(lambda: not store.get(prediction.id))
        # The frame of a day ends with the last prediction that could be made on it.
        until(lambda: in_file(path) <= {"frame"})


@pytest.fixture(scope="module")
def keyspace(cassandra_server: Settings, cassandra_session: Session) -> Iterator[Settings]:
    """Settings with a keyspace whose files can be searched: not compressed, and its tombstones do not stay."""
    try:
        docker("inspect", CONTAINER)
    except (OSError, subprocess.CalledProcessError) as error:
        lacking(f"no container {CONTAINER}: {error}")
    settings = replace(cassandra_server, cassandra_keyspace=f"test_{uuid.uuid4().hex[:12]}")
    apply_schema(cassandra_session, settings)
    alter_all(cassandra_session, settings.cassandra_keyspace)
    yield settings
    cassandra_session.execute(f"DROP KEYSPACE {settings.cassandra_keyspace}", timeout=30)


def alter_all(session: Session, keyspace: str) -> None:
    tables = session.execute("SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (keyspace,))
    for (table,) in tables.all():
        options = "compression = {'enabled': false} AND gc_grace_seconds = 0"
        session.execute(f"ALTER TABLE {keyspace}.{table} WITH {options}", timeout=30)


def in_sstables(keyspace: str) -> set[str]:
    """The names of the secrets that are in the files of a keyspace after a compaction."""
    for command in ("flush", "compact"):
        docker("exec", CONTAINER, "nodetool", command, keyspace)
    patterns = [argument for secret in SECRETS.values() for argument in ("-e", secret)]
    search = ["grep", "-rhoaF", *patterns, f"/var/lib/cassandra/data/{keyspace}"]
    found = subprocess.run(["docker", "exec", CONTAINER, *search], capture_output=True, text=True, check=False)
    assert found.returncode in (0, 1), found.stderr
    return {name for name, secret in SECRETS.items() if secret in found.stdout}


@pytest.mark.cassandra
def test_nothing_is_left_in_sstables_after_a_deletion(keyspace: Settings) -> None:
    with closing(CassandraStore(keyspace, lambda _: None)) as store:
        until(lambda: store.status().reached)
        prediction = store_secrets(store)
        assert in_sstables(keyspace.cassandra_keyspace) == SECRETS.keys()
        assert store.delete(prediction.id)
        assert in_sstables(keyspace.cassandra_keyspace) == set()


@pytest.mark.cassandra
def test_nothing_is_left_in_sstables_after_the_retention(keyspace: Settings) -> None:
    with closing(CassandraStore(replace(keyspace, retention=2), lambda _: None)) as store:
        until(lambda: store.status().reached)
        prediction = store_secrets(store)
        until(lambda: not store.get(prediction.id))
        # The frame of a day ends with the last prediction that could be made on it.
        until(lambda: in_sstables(keyspace.cassandra_keyspace) <= {"frame"})
