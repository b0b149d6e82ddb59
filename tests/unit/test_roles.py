import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from cassandra import Unauthorized
from cassandra.cluster import NoHostAvailable, Session
from lookbook.settings import Settings
from lookbook.store.cassandra import roles
from lookbook.store.cassandra.cluster import DRIVER_ERRORS, open_cluster
from lookbook.store.cassandra.roles import ensure_service_role

from tests.support.running import until

pytestmark = pytest.mark.cassandra


@pytest.fixture
def service(cassandra: Settings, cassandra_session: Session) -> Iterator[Settings]:
    """Settings of the service, after its role has been created."""
    name = f"Role {uuid.uuid4().hex[:12]}"
    settings = replace(cassandra, cassandra_service_username=name, cassandra_service_password='it\'s "secret"')
    ensure_service_role(cassandra_session, settings)
    yield replace(cassandra, cassandra_username=name, cassandra_password='it\'s "secret"')
    cassandra_session.execute(f'DROP ROLE "{name}"')


def test_the_service_may_only_read_and_write(service: Settings) -> None:
    table = f"{service.cassandra_keyspace}.buckets"
    with open_cluster(service) as cluster:
        session = cluster.connect()
        session.execute(f"INSERT INTO {table} (year, bucket, shards) VALUES (2026, 1, 1)")
        assert session.execute(f"SELECT bucket FROM {table}").all() == [(1,)]
        for statement in (
            f"DROP TABLE {table}",
            f"ALTER TABLE {table} ADD more int",
            "SELECT * FROM system_auth.roles",
            "CREATE ROLE other",
            "ALTER ROLE cassandra WITH PASSWORD = 'mine'",
        ):
            with pytest.raises(Unauthorized):
                session.execute(statement)


def test_a_new_password_replaces_the_old_one(service: Settings, cassandra_session: Session) -> None:
    name = service.cassandra_username
    renewed = replace(service, cassandra_service_username=name, cassandra_service_password="another")

    def replaced() -> bool:
        # Cassandra changes a password at most once in five seconds, and caches the old one for two.
        try:
            ensure_service_role(cassandra_session, renewed)
            with open_cluster(replace(service, cassandra_password="another")) as cluster:
                cluster.connect()
        except DRIVER_ERRORS:
            return False
        return True

    until(replaced)


def test_a_busy_node_is_not_a_refused_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a node accepts the first connection and is too slow for the second, the driver names only the hosts."""

    def busy(*_: object) -> None:
        raise NoHostAvailable("Unable to connect to any servers", ["127.0.0.1"])

    monkeypatch.setattr(roles, "open_cluster", busy)
    with pytest.raises(NoHostAvailable):
        roles.superuser_settings(Settings())
