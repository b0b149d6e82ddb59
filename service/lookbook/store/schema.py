"""Cassandra's keyspace and tables: the only place with DDL."""

import re
from pathlib import Path

from cassandra import InvalidRequest
from cassandra.cluster import Session

from lookbook.errors import SettingsError
from lookbook.settings import Settings
from lookbook.store.cassandra import entry_seconds
from lookbook.store.connection import PATIENT, open_cluster
from lookbook.store.roles import admit_service, make_admin, retire_first, way_in

_DDL_SECONDS = 30
_GRACE_SECONDS = 10 * 24 * 60 * 60
_KEPT = ("predictions", "buckets", "thumbnails")


def apply(session: Session, settings: Settings) -> None:
    """Create what is missing and alter the tables' options where retention has changed; else nothing.

    Raises SettingsError for a keyspace or retention that Cassandra would refuse.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,47}", settings.cassandra_keyspace):
        raise SettingsError(f"LOOKBOOK_CASSANDRA_KEYSPACE={settings.cassandra_keyspace}: not a keyspace's name")
    wanted = compaction(settings.retention)
    text = "{" + ", ".join(f"'{key}': '{value}'" for key, value in wanted.items()) + "}"
    options = f"compaction = {text} AND gc_grace_seconds = {grace(settings.retention)}"
    for statement in _statements(settings, options):
        session.execute(statement, timeout=_DDL_SECONDS)
    check_replication(session, settings)
    if settings.retention:
        _try_retention(session, settings)
    for table in _KEPT:
        ((found, seconds),) = session.execute(
            "SELECT compaction, gc_grace_seconds FROM system_schema.tables"
            " WHERE keyspace_name = %s AND table_name = %s",
            (settings.cassandra_keyspace, table),
        )
        if not _same(dict(found), wanted) or seconds != grace(settings.retention):
            session.execute(f"ALTER TABLE {settings.cassandra_keyspace}.{table} WITH {options}", timeout=_DDL_SECONDS)


def check_replication(session: Session, settings: Settings) -> None:
    """Raises SettingsError for a keyspace with other replicas: those added without a repair would hold nothing."""
    found = session.execute(
        "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s", (settings.cassandra_keyspace,)
    ).one()
    copies = found[0].get(settings.cassandra_local_dc, "0") if found else str(settings.cassandra_replication)
    if copies != str(settings.cassandra_replication):
        raise SettingsError(
            f"keyspace {settings.cassandra_keyspace} has {copies} replicas in {settings.cassandra_local_dc} where "
            f"{settings.cassandra_replication} are asked for: see 'More nodes' in charts/lookbook/README.md"
        )


def compaction(retention: int) -> dict[str, str]:
    """Compaction options: windows of a thirtieth of the retention (seconds), unified where it is 0."""
    if not retention:
        return {"class": "UnifiedCompactionStrategy"}
    return {
        "class": "TimeWindowCompactionStrategy",
        "compaction_window_unit": "MINUTES",
        "compaction_window_size": str(max(1, retention // 30 // 60)),
    }


def grace(retention: int) -> int:
    """gc_grace_seconds: no more than the retention.

    Sooner after its write than this an expired row still counts as a tombstone, of which a page may meet 100,000 at
    most; and a deletion need not be remembered for longer than the row itself would have lived.
    """
    return min(retention or _GRACE_SECONDS, _GRACE_SECONDS)


def _try_retention(session: Session, settings: Settings) -> None:
    """Write as the service will: most versions of Cassandra refuse what would expire after 2038-01-19."""
    seconds = entry_seconds(settings.retention)
    try:
        session.execute(
            f"INSERT INTO {settings.cassandra_keyspace}.buckets (year, bucket, shards) VALUES (0, 0, 0)"
            f" USING TTL {seconds}"
        )
    except InvalidRequest as error:
        raise SettingsError(f"LOOKBOOK_RETENTION={settings.retention}: {error}") from error


def _statements(settings: Settings, options: str) -> list[str]:
    text = (Path(__file__).parent / "schema.cql").read_text()
    for name, value in {
        "keyspace": settings.cassandra_keyspace,
        "data_centre": settings.cassandra_local_dc.replace("'", "''"),
        "replication": str(settings.cassandra_replication),
        "options": options,
    }.items():
        text = text.replace(f"<{name}>", value)
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]


def _same(found: dict[str, str], wanted: dict[str, str]) -> bool:
    return found["class"].endswith(wanted["class"]) and all(
        found.get(key) == value for key, value in wanted.items() if key != "class"
    )


def prepare(settings: Settings) -> None:
    ours = bool(settings.cassandra_service_username)
    if ours:
        with open_cluster(way_in(settings), PATIENT) as cluster:
            session = cluster.connect()
            check_replication(session, settings)
            make_admin(session, settings)
    with open_cluster(settings, PATIENT) as cluster:
        session = cluster.connect()
        if ours:
            retire_first(session)
        apply(session, settings)
        if ours:
            admit_service(session, settings)
