"""Cassandra keyspaces that exist as long as a benchmark runs."""

import dataclasses
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cassandra.cluster import Session
from lookbook.settings import Settings
from lookbook.store.cassandra.cluster import DRIVER_ERRORS, open_cluster
from lookbook.store.cassandra.schema import apply_schema

_DDL_SECONDS = 60


def unreachable() -> str | None:
    """Why Cassandra cannot be measured, or None if it can."""
    # The driver would log the same in many lines.
    logging.getLogger("cassandra").setLevel("CRITICAL")
    settings = Settings.from_environment(os.environ)
    cluster = open_cluster(settings)
    try:
        cluster.connect()
    except DRIVER_ERRORS:
        return f"Cassandra is not available at {settings.cassandra_contact_points}:{settings.cassandra_port}"
    finally:
        cluster.shutdown()
    return None


@contextmanager
def keyspace(name: str) -> Iterator[tuple[Settings, Session]]:
    """Settings and a session for Lookbook's empty tables in this keyspace, which is dropped before and after."""
    settings = dataclasses.replace(Settings.from_environment(os.environ), store="cassandra", cassandra_keyspace=name)
    cluster = open_cluster(settings)
    try:
        session = cluster.connect()
        _drop(session, name)
        apply_schema(session, settings)
        tables = session.execute("SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (name,))
        for (table,) in tables.all():
            # Cassandra would keep a snapshot of a dropped table.
            session.execute(f"ALTER TABLE {name}.{table} WITH allow_auto_snapshot = false", timeout=_DDL_SECONDS)
        try:
            yield settings, session
        finally:
            _drop(session, name)
    finally:
        cluster.shutdown()


@contextmanager
def stores(name: str, complain: Callable[[str], object]) -> Iterator[list[str]]:
    """The stores that can be measured; Cassandra has this keyspace. Complains if there is no Cassandra."""
    if reason := unreachable():
        complain(f"without cassandra: {reason}")
        yield ["sqlite"]
        return
    with keyspace(name):
        yield ["sqlite", "cassandra"]


def _drop(session: Session, name: str) -> None:
    session.execute(f"DROP KEYSPACE IF EXISTS {name}", timeout=_DDL_SECONDS)
