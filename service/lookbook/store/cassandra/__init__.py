"""The store for several machines: Apache Cassandra."""

from lookbook.store.cassandra.store import CassandraStore

__all__ = ["CassandraStore"]
