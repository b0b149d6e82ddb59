"""Cassandra's keyspace and tables; the only module that runs DDL on them."""

import re
from pathlib import Path

from cassandra import InvalidRequest
from cassandra.cluster import Session

from lookbook.errors import SettingsError, StoreUnavailable
from lookbook.settings import Settings
from lookbook.store import keep_seconds
from lookbook.store.cassandra.buckets import bucket_ttl, gc_grace_seconds
from lookbook.store.cassandra.cluster import PATIENT_SECONDS, open_cluster
from lookbook.store.cassandra.roles import (
    disable_default_superuser,
    ensure_admin,
    ensure_service_role,
    superuser_settings,
)

_STATEMENT_SECONDS = 30
_TABLES_WITH_RETENTION = (
    *("predictions", "buckets", "thumbnails"),
    *("samples", "sample_days", "frames", "judgments", "sampled_judgments"),
)
_TABLES_WITH_KEEP_DAYS = ("inputs", "comparisons", "flips")


def set_up_cassandra(settings: Settings) -> None:
    """Create or update keyspace and tables and, if a service role is set, the ring's roles.

    Raises SettingsError, StoreUnavailable, and DRIVER_ERRORS.
    """
    owns_ring = bool(settings.cassandra_service_username)
    if owns_ring:
        with open_cluster(superuser_settings(settings), PATIENT_SECONDS) as cluster:
            session = cluster.connect()
            check_replication(session, settings)
            ensure_admin(session, settings)
    with open_cluster(settings, PATIENT_SECONDS) as cluster:
        session = cluster.connect()
        if owns_ring:
            disable_default_superuser(session)
        apply_schema(session, settings)
        if owns_ring:
            ensure_service_role(session, settings)


def apply_schema(session: Session, settings: Settings) -> None:
    """Create what is missing; change the tables' options if the retention has changed.

    Raises SettingsError for a keyspace name or retention that Cassandra would reject, or for another replication.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,47}", settings.cassandra_keyspace):
        raise SettingsError(
            f"LOOKBOOK_CASSANDRA_KEYSPACE={settings.cassandra_keyspace}: must be a lowercase letter followed by up to "
            "47 lowercase letters, digits, and underscores"
        )
    for statement in _statements(settings):
        session.execute(statement, timeout=_STATEMENT_SECONDS)
    check_replication(session, settings)
    if settings.retention:
        _check_retention(session, settings)
    for tables, seconds in (
        (_TABLES_WITH_RETENTION, settings.retention),
        (_TABLES_WITH_KEEP_DAYS, keep_seconds(settings)),
    ):
        for table in tables:
            if not _has_options(session, settings.cassandra_keyspace, table, seconds):
                session.execute(
                    f"ALTER TABLE {settings.cassandra_keyspace}.{table} WITH {_table_options(seconds)}",
                    timeout=_STATEMENT_SECONDS,
                )


def check_cassandra(settings: Settings) -> None:
    """Check that another release has created the tables, and for the same retention.

    Raises StoreUnavailable if a table is missing, SettingsError for another retention, and DRIVER_ERRORS.
    """
    with open_cluster(settings, PATIENT_SECONDS) as cluster:
        check_tables(cluster.connect(), settings)


def check_tables(session: Session, settings: Settings) -> None:
    """Raises StoreUnavailable if a table is missing, and SettingsError if the tables are for another retention."""
    keyspace = settings.cassandra_keyspace
    found = session.execute("SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (keyspace,))
    missing = set(re.findall(r"TABLE IF NOT EXISTS <keyspace>\.(\w+)", _schema())) - {name for (name,) in found}
    if missing:
        raise StoreUnavailable(
            f"keyspace {keyspace} has no table {', '.join(sorted(missing))}: install or upgrade the release that "
            "creates the tables first"
        )
    if not all(_has_options(session, keyspace, table, settings.retention) for table in _TABLES_WITH_RETENTION):
        raise SettingsError(
            f"LOOKBOOK_RETENTION={settings.retention}: the tables of keyspace {keyspace} were created with a different "
            "retention; set the same one in all releases that share the keyspace"
        )


def check_replication(session: Session, settings: Settings) -> None:
    """Raises SettingsError if the keyspace has another number of replicas.

    Changing the number is left to an operator: new replicas are empty until a repair.
    """
    found = session.execute(
        "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s", (settings.cassandra_keyspace,)
    ).one()
    wanted = str(settings.cassandra_replication)
    replicas = found[0].get(settings.cassandra_local_dc, "0") if found else wanted
    if replicas != wanted:
        copies = "1 copy" if replicas == "1" else f"{replicas} copies"
        raise SettingsError(
            f"LOOKBOOK_CASSANDRA_REPLICATION={wanted}: keyspace {settings.cassandra_keyspace} keeps {copies} in "
            f"{settings.cassandra_local_dc}, not {wanted}; to change that, follow 'Add Cassandra nodes' in "
            "charts/lookbook/README.md"
        )


def compaction_options(retention: int) -> dict[str, str]:
    """Time windows of a thirtieth of the retention (in seconds); unified compaction if it is 0."""
    if not retention:
        return {"class": "UnifiedCompactionStrategy"}
    return {
        "class": "TimeWindowCompactionStrategy",
        "compaction_window_unit": "MINUTES",
        "compaction_window_size": str(max(1, retention // 30 // 60)),
    }


def _table_options(retention: int) -> str:
    compaction = ", ".join(f"'{key}': '{value}'" for key, value in compaction_options(retention).items())
    return f"compaction = {{{compaction}}} AND gc_grace_seconds = {gc_grace_seconds(retention)}"


def _has_options(session: Session, keyspace: str, table: str, retention: int) -> bool:
    ((compaction, grace),) = session.execute(
        "SELECT compaction, gc_grace_seconds FROM system_schema.tables WHERE keyspace_name = %s AND table_name = %s",
        (keyspace, table),
    )
    wanted = compaction_options(retention)
    # Cassandra stores the class with its Java package and adds options of its own.
    return (
        compaction["class"].endswith(wanted["class"])
        and all(compaction.get(key) == value for key, value in wanted.items() if key != "class")
        and grace == gc_grace_seconds(retention)
    )


def _check_retention(session: Session, settings: Settings) -> None:
    """Write with the longest TTL in use: most versions of Cassandra reject an expiration after 2038-01-19."""
    try:
        session.execute(
            f"INSERT INTO {settings.cassandra_keyspace}.buckets (year, bucket, shards) VALUES (0, 0, 0)"
            f" USING TTL {bucket_ttl(settings.retention)}"
        )
    except InvalidRequest as error:
        raise SettingsError(f"LOOKBOOK_RETENTION={settings.retention}: {error}") from error


def _statements(settings: Settings) -> list[str]:
    text = _schema()
    for name, value in {
        "keyspace": settings.cassandra_keyspace,
        "datacenter": settings.cassandra_local_dc.replace("'", "''"),
        "replication": str(settings.cassandra_replication),
        "options": _table_options(settings.retention),
        "keep_options": _table_options(keep_seconds(settings)),
    }.items():
        text = text.replace(f"<{name}>", value)
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]


def _schema() -> str:
    return (Path(__file__).parent / "schema.cql").read_text()
