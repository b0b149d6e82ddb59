"""The store for one machine: SQLite, safe with many workers."""

from lookbook.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
