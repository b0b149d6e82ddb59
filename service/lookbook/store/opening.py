"""Opens the store that the settings name. Tests: tests/unit/test_wsgi.py."""

from collections.abc import Callable

from lookbook.settings import Settings
from lookbook.store import Store
from lookbook.store.tables import Tables


def open_store(settings: Settings, report: Callable[[float], None]) -> Store:
    """`report` gets 1 when the store becomes available and 0 when it is lost.

    Raises StoreUnavailable if the SQLite file cannot be written; Cassandra is connected in the background.
    """
    # Imported here: the driver of the other store would cost memory and startup time.
    if settings.store == "cassandra":
        from lookbook.store.cassandra import CassandraStore

        return CassandraStore(settings, report)
    from lookbook.store.sqlite import SqliteStore

    return SqliteStore(settings.sqlite_path, report, settings.retention, settings.keep_days)


def open_tables(settings: Settings) -> Tables:
    """Raises StoreUnavailable if Cassandra stays unavailable."""
    if settings.store == "cassandra":
        from lookbook.store.cassandra.tables import CassandraTables

        return CassandraTables(settings)
    from lookbook.store.sqlite.tables import SqliteTables

    return SqliteTables(settings.sqlite_path)
