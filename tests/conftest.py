"""Fixtures made of real parts: the bundles, both stores, the app, a server."""

import os
import tempfile

os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="lookbook-test-metrics-")

import json
import shutil
import socket
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cassandra.cluster import Session
from flask import Flask
from flask.testing import FlaskClient
from lookbook.http.app import create_app
from lookbook.model.bundle import Bundle, read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.pillow import configure_pillow
from lookbook.settings import Settings
from lookbook.store import Store
from lookbook.store.cassandra import CassandraStore
from lookbook.store.cassandra.cluster import DRIVER_ERRORS, open_cluster
from lookbook.store.cassandra.schema import apply_schema
from lookbook.store.sqlite import SqliteStore

from tests.support import contract
from tests.support.places import CASSANDRA_PORT, CHART, CLOTHES, MLP, UINT8
from tests.support.requirements import lacking
from tests.support.running import SERVICES, Service, until

# These run only on request, by `make e2e`, `make power-loss`, and `make hadoop`.
_ON_REQUEST = {"e2e": "E2E", "server/test_power_loss.py": "POWER", "spark/test_hadoop.py": "HADOOP"}
collect_ignore = [path for path, variable in _ON_REQUEST.items() if variable not in os.environ]


configure_pillow()
Flask.test_client_class = contract.Client
contract.check_requests(SERVICES)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line per reason to skip instead of one per test."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return read_bundle(MLP)


@pytest.fixture(scope="session")
def classifier(bundle: Bundle) -> Classifier:
    return Classifier(bundle)


@pytest.fixture(scope="session")
def clothes() -> Classifier:
    return Classifier(read_bundle(CLOTHES))


@pytest.fixture(scope="session")
def colors() -> Classifier:
    """A model that takes pixels."""
    return Classifier(read_bundle(UINT8))


@pytest.fixture(scope="session")
def cassandra_server() -> Settings:
    """Settings of a real Cassandra; skips the test if there is none."""
    try:
        socket.create_connection(("127.0.0.1", CASSANDRA_PORT), 1).close()
    except OSError:
        lacking(f"no Cassandra on 127.0.0.1:{CASSANDRA_PORT}: start one with `make cassandra`")
    return Settings(
        store="cassandra",
        cassandra_port=CASSANDRA_PORT,
        cassandra_username="cassandra",
        cassandra_password="cassandra",
        cassandra_keyspace=f"test_{uuid.uuid4().hex[:12]}",
    )


# Most have rows, or many tombstones. A frame that was deleted hides those that are stored within a minute.
_ALWAYS_EMPTIED = ("predictions", "buckets", "thumbnails", "idempotency_keys", "frames")


def _alter(session: Session, statement: str) -> None:
    # DDL takes longer than the timeout of requests.
    session.execute(statement, timeout=30)


@pytest.fixture(scope="session")
def cassandra_session(cassandra_server: Settings) -> Iterator[Session]:
    """A session, after the tests' keyspace has been created."""
    with open_cluster(cassandra_server) as cluster:
        session = cluster.connect()
        apply_schema(session, cassandra_server)
        yield session
        _alter(session, f"DROP KEYSPACE {cassandra_server.cassandra_keyspace}")


@pytest.fixture
def cassandra(cassandra_server: Settings, cassandra_session: Session) -> Iterator[Settings]:
    """Settings of a real Cassandra with empty tables."""

    def available() -> bool:
        try:
            cassandra_session.execute("SELECT key FROM system.local")
        except DRIVER_ERRORS:
            return False
        return True

    yield cassandra_server
    # A test may have stopped Cassandra; the session reconnects by itself.
    until(available)
    keyspace = cassandra_server.cassandra_keyspace
    for (table,) in cassandra_session.execute(
        "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (keyspace,)
    ):
        # Truncating takes long, and few tests use the other tables.
        if table in _ALWAYS_EMPTIED or cassandra_session.execute(f"SELECT * FROM {keyspace}.{table} LIMIT 1").one():
            _alter(cassandra_session, f"TRUNCATE {keyspace}.{table}")


@pytest.fixture
def on_cassandra(cassandra: Settings) -> dict[str, object]:
    """Options for `serve` to use the real Cassandra."""
    names = ("store", "cassandra_port", "cassandra_username", "cassandra_password", "cassandra_keyspace")
    return {name: getattr(cassandra, name) for name in names}


@pytest.fixture(params=["sqlite", pytest.param("cassandra", marks=pytest.mark.cassandra)])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Store]]:
    """Opens a store, and reopens it with other settings; each test runs with SQLite and with Cassandra."""
    opened: list[Store] = []
    settings = request.getfixturevalue("cassandra") if request.param == "cassandra" else Settings()

    def make(**options: int) -> Store:
        if request.param == "cassandra":
            opened.append(CassandraStore(replace(settings, **options), lambda _: None))
        else:
            options.pop("shards", None)
            opened.append(SqliteStore(str(tmp_path / "store.sqlite"), lambda _: None, **options))
        until(lambda: opened[-1].status().reached)
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    return open_store()


@pytest.fixture
def make_app(tmp_path: Path, classifier: Classifier) -> Iterator[Callable[..., Flask]]:
    """Creates the app on SQLite, with any settings."""
    stores: list[Store] = []

    def make(**options: Any) -> Flask:
        stores.append(SqliteStore(str(tmp_path / "app.sqlite"), lambda _: None))
        return create_app(Settings(**options), classifier, stores[-1])

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts `lookbook serve` with any settings; stops it after the test."""
    running: list[Service] = []

    def start(prefix: tuple[str, ...] = (), **options: object) -> Service:
        defaults = {"model": MLP, "sqlite_path": tmp_path / "serve.sqlite", "workers": 1}
        running.append(Service({**defaults, **options}, tmp_path / f"serve-{len(running)}.log", prefix))
        return running[-1]

    yield start
    for service in running:
        service.stop()


@pytest.fixture
def altered(tmp_path: Path) -> Callable[..., Path]:
    """Copies a bundle and changes its manifest."""

    def make(change: Callable[[dict[str, Any]], None], source: Path = MLP) -> Path:
        folder = tmp_path / "bundle"
        shutil.copytree(source, folder)
        manifest = json.loads((folder / "model.json").read_text())
        change(manifest)
        (folder / "model.json").write_text(json.dumps(manifest))
        return folder

    return make


@pytest.fixture
def next_chart(tmp_path: Path) -> Path:
    """The chart as its next release."""
    folder = tmp_path / "lookbook"
    shutil.copytree(CHART, folder)
    meta = yaml.safe_load((folder / "Chart.yaml").read_text())
    (folder / "Chart.yaml").write_text(yaml.safe_dump({**meta, "version": "9.9.9", "appVersion": "9.9.9"}))
    return folder
