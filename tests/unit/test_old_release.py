"""Stores made by 0.1.0, whose servers may run at the same time as those of this version."""

import logging
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cassandra.cluster import Session
from flask.testing import FlaskClient
from lookbook.errors import StoreUnavailable
from lookbook.http.app import create_app
from lookbook.model.inference import Classifier
from lookbook.prediction import Prediction
from lookbook.settings import Settings
from lookbook.store import Entry, Query, Store
from lookbook.store.cassandra import CassandraStore
from lookbook.store.cassandra.schema import apply_schema
from lookbook.store.sqlite import SqliteStore

from tests.support.old_release import OldStore, old_store
from tests.support.predictions import error_of, location, made_at, post_image
from tests.support.running import until
from tests.support.truths import day_of, judge, sampled, today

NOON = today()


def ids(store: Store) -> list[uuid.UUID]:
    return [item.id for item in store.page(Query(100)).items]


def put_old(old: OldStore) -> list[Prediction]:
    """Three predictions, newest first."""
    predictions = [made_at(NOON - timedelta(minutes=number)) for number in range(3)]
    for prediction in predictions:
        old.put(prediction)
    return predictions


def check_both_serve(old: OldStore, store: Store, before: list[Prediction]) -> None:
    """Servers of both versions, once all tables are there."""
    assert [item.id for item in before] == ids(store) == old.ids()
    judge(store, before[0], "Bag")
    assert list(store.page(Query(1)).truths) == [before[0].id]
    (entry,) = sampled(NOON + timedelta(minutes=1), 1)
    store.put(entry)
    old.put(made_at(NOON + timedelta(minutes=2)))
    assert old.ids() == ids(store)
    assert len(old.ids()) == 5
    assert store.samples(day_of(entry.prediction), 10)
    assert store.delete(before[0].id)
    assert old.delete(before[1])
    assert old.ids() == ids(store)
    assert store.judgments(before[0].id) == ()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def old_sqlite(path: Path, tmp_path: Path) -> Iterator[OldStore]:
    with old_store({"store": "sqlite", "sqlite_path": str(path)}, tmp_path) as old:
        yield old


def test_a_file_is_upgraded_while_an_old_server_uses_it(old_sqlite: OldStore, path: Path) -> None:
    before = put_old(old_sqlite)
    with closing(SqliteStore(str(path), lambda _: None)) as store:
        check_both_serve(old_sqlite, store, before)


def test_an_old_server_deletes_from_a_file_what_it_does_not_know(old_sqlite: OldStore, path: Path) -> None:
    with closing(SqliteStore(str(path), lambda _: None)) as store:
        (entry,) = sampled(NOON, 1)
        store.put(entry)
        judge(store, entry.prediction, "Bag")
        assert old_sqlite.delete(entry.prediction)
    with closing(sqlite3.connect(path)) as connection:
        counts = [connection.execute(f"SELECT count(*) FROM {name}").fetchone() for name in ("inputs", "samples")]
        counts += connection.execute("SELECT count(*) FROM judgments")
    assert counts == [(0,), (0,), (0,)]


@pytest.fixture
def keyspace(cassandra_server: Settings, cassandra_session: Session) -> Iterator[Settings]:
    """Settings with a keyspace of its own, which does not exist yet."""
    settings = replace(cassandra_server, cassandra_keyspace=f"test_{uuid.uuid4().hex[:12]}")
    yield settings
    cassandra_session.execute(f"DROP KEYSPACE IF EXISTS {settings.cassandra_keyspace}", timeout=30)


@pytest.fixture
def old_cassandra(keyspace: Settings, tmp_path: Path) -> Iterator[OldStore]:
    names = ("cassandra_port", "cassandra_username", "cassandra_password", "cassandra_keyspace")
    settings = {"store": "cassandra"} | {name: getattr(keyspace, name) for name in names}
    with old_store(settings, tmp_path) as old:
        yield old


@pytest.fixture
def store(old_cassandra: OldStore, keyspace: Settings) -> Iterator[Store]:  # noqa: ARG001 - it creates the tables
    with closing(CassandraStore(keyspace, lambda _: None)) as store:
        until(lambda: store.status().reached)
        yield store


@pytest.fixture
def client(store: Store, classifier: Classifier) -> FlaskClient:
    return create_app(Settings(), classifier, store).test_client()


@pytest.mark.cassandra
def test_before_the_schema_job_predictions_are_served(
    old_cassandra: OldStore, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    before = put_old(old_cassandra)
    (entry,) = sampled(NOON + timedelta(minutes=1), 1)
    store.put(entry)
    assert store.put_if_absent(Entry(made_at(NOON + timedelta(minutes=2))))
    assert ids(store) == old_cassandra.ids()
    assert len(ids(store)) == 5
    assert store.delete(before[0].id)
    for call in (
        lambda: judge(store, before[1], "Bag"),
        lambda: store.sampled_days(0, 30_000),
    ):
        with pytest.raises(StoreUnavailable, match="until `lookbook schema` has run"):
            call()
    assert store.input(entry.prediction.id) is None
    assert store.judgments(before[1].id) == ()
    assert store.status().available
    lines = [*caplog.get_records("setup"), *caplog.records]
    assert [line.message.partition(",")[0] for line in lines if line.levelno >= logging.WARNING] == [
        "tables are missing in the store; nothing is sampled",
        "store available",
    ]


@pytest.mark.cassandra
def test_before_the_schema_job_the_api_serves_predictions(client: FlaskClient) -> None:
    response = post_image(client)
    path = location(response)
    prediction = client.get(path).get_json()
    assert prediction["ground_truth"] is None
    assert client.get("/v1/predictions").get_json()["items"] == [prediction]
    for refused in (client.get("/v1/evaluations"), client.post(f"{path}/ground-truths", json={"label": "Bag"})):
        status, code, message = error_of(refused)
        assert (status, code) == (503, "store_unavailable")
        assert "until `lookbook schema` has run" in message
    assert client.delete(path).status_code == 204


@pytest.mark.cassandra
def test_the_schema_job_upgrades_a_keyspace_while_both_versions_use_it(
    old_cassandra: OldStore, store: Store, keyspace: Settings, cassandra_session: Session
) -> None:
    before = put_old(old_cassandra)
    apply_schema(cassandra_session, keyspace)
    until(lambda: not refuses(lambda: store.sampled_days(0, 30_000)))
    check_both_serve(old_cassandra, store, before)


def refuses(call: Callable[[], object]) -> bool:
    try:
        call()
    except StoreUnavailable:
        return True
    return False
