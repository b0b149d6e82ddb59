"""The store for many machines: Cassandra."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain, groupby
from typing import Any
from uuid import UUID

from cassandra.cluster import ResponseFuture

from lookbook.prediction import BUCKET_SECONDS, FIRST_YEAR, Prediction, bucket, first_id, shard, sort_key
from lookbook.settings import Settings
from lookbook.store import KEY_SECONDS, Page, Query, Status, build_page, deletion_key
from lookbook.store.cassandra.cluster import open_cluster
from lookbook.store.cassandra.connection import Connection

_FOR_EVER = 1 << 62  # a timestamp in microseconds that is later than the end of any entry
_MAX_PARTITIONS = 2_000
_WIDEST = 32  # partitions that are read at once, unless one bucket has more
_COLUMNS = "id, file_name, labels, scores, model_name, model_version"

_STATEMENTS = {
    "probe": "SELECT key FROM {ks}.idempotency_keys WHERE key = 'probe'",
    "put": f"INSERT INTO {{ks}}.predictions (bucket, shard, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?",
    "put_if_absent": f"INSERT INTO {{ks}}.predictions (bucket, shard, {_COLUMNS})"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS USING TTL ?",
    "put_bucket": "INSERT INTO {ks}.buckets (year, bucket, shards) VALUES (?, ?, ?) USING TTL ? AND TIMESTAMP ?",
    "put_thumbnail": "INSERT INTO {ks}.thumbnails (id, picture) VALUES (?, ?) USING TTL ?",
    "claim": "INSERT INTO {ks}.idempotency_keys (key, id, digest) VALUES (?, ?, ?)"
    f" IF NOT EXISTS USING TTL {KEY_SECONDS}",
    "put_deletion": f"INSERT INTO {{ks}}.idempotency_keys (key) VALUES (?) USING TTL {KEY_SECONDS}",
    "get_deletion": "SELECT key FROM {ks}.idempotency_keys WHERE key = ?",
    "get": f"SELECT {_COLUMNS} FROM {{ks}}.predictions WHERE bucket = ? AND shard = ? AND id = ?",
    "get_written": "SELECT WRITETIME(file_name) FROM {ks}.predictions WHERE bucket = ? AND shard = ? AND id = ?",
    "get_thumbnail": "SELECT picture FROM {ks}.thumbnails WHERE id = ?",
    "delete": "DELETE FROM {ks}.predictions USING TIMESTAMP ? WHERE bucket = ? AND shard = ? AND id = ?",
    "delete_thumbnail": "DELETE FROM {ks}.thumbnails USING TIMESTAMP ? WHERE id = ?",
    "list_buckets": "SELECT bucket, shards FROM {ks}.buckets WHERE year = ? AND bucket <= ? AND bucket >= ? LIMIT ?",
    "list": f"SELECT {_COLUMNS} FROM {{ks}}.predictions WHERE bucket IN ? AND shard IN ? AND id < ? AND id >= ?"
    " PER PARTITION LIMIT ?",
}

_LOWEST = first_id(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC))


class CassandraStore:
    """See lookbook.store.Store."""

    def __init__(self, settings: Settings, report: Callable[[float], None]) -> None:
        """`report` is told 1 when the store is reached and 0 when it is lost."""
        self._retention = settings.retention
        self._shards = settings.shards
        keyspace = settings.cassandra_keyspace
        self._connection = Connection(
            lambda: open_cluster(settings),
            {name: cql.format(ks=keyspace) for name, cql in _STATEMENTS.items()},
            report,
        )
        self._noted: set[tuple[int, int, int]] = set()

    def put(self, prediction: Prediction, thumbnail: bytes | None) -> None:
        self.put_all([(prediction, thumbnail)])

    def put_all(self, entries: Sequence[tuple[Prediction, bytes | None]]) -> None:
        started: list[ResponseFuture] = []
        for prediction, thumbnail in entries:
            self._note_bucket(prediction.id)
            picture = self._start_thumbnail(prediction, thumbnail)
            started.append(self._connection.start("put", self._row(prediction)))
            if picture:
                started.append(picture)
        for future in started:
            self._connection.finish(future)

    def put_if_absent(self, prediction: Prediction, thumbnail: bytes | None) -> Prediction:
        self._note_bucket(prediction.id)
        picture = self._start_thumbnail(prediction, thumbnail)
        # A row that stands comes back with its columns in the table's order, behind [applied].
        ((applied, *standing),) = self._connection.execute("put_if_absent", self._row(prediction))
        if picture:
            self._connection.finish(picture)
        if applied:
            return prediction
        _, _, id, file_name, labels, model_name, model_version, scores = standing
        return _prediction((id, file_name, labels, scores, model_name, model_version))

    def claim(self, key: str, digest: bytes, id: UUID) -> tuple[UUID, bytes]:
        ((applied, *standing),) = self._connection.execute("claim", (key, id, digest))
        if applied:
            return id, digest
        _, known, found = standing
        return found, known

    def get(self, id: UUID) -> Prediction | None:
        rows = self._connection.execute("get", _place(id))
        return _prediction(rows[0]) if rows else None

    def thumbnail(self, id: UUID) -> bytes | None:
        rows = self._connection.execute("get_thumbnail", (id,))
        return rows[0][0] if rows else None

    def delete(self, id: UUID) -> bool:
        rows = self._connection.execute("get_written", _place(id))
        if not rows:
            return False
        # Later than the write it removes, whatever the clocks say, or Cassandra would keep the row.
        stamp = max(rows[0][0] + 1, time.time_ns() // 1000)
        self._connection.execute("put_deletion", (deletion_key(id),))
        self._connection.execute("delete_thumbnail", (stamp, id))
        self._connection.execute("delete", (stamp, *_place(id)))
        return True

    def deleted(self, id: UUID) -> bool:
        return bool(self._connection.execute("get_deletion", (deletion_key(id),)))

    def status(self) -> Status:
        return self._connection.status()

    def close(self) -> None:
        self._connection.close()

    def page(self, query: Query) -> Page:
        rows: list[Prediction] = []
        below = query.below or first_id(datetime(datetime.now(UTC).year + 2, 1, 1, tzinfo=UTC))
        since = max(query.since or _LOWEST, _LOWEST, key=sort_key)
        entries = self._buckets(bucket(below), bucket(since))
        group, entries = _take(entries, 1)
        width, read = 1, 0
        while group:
            shards = max(count for _, count in group)
            found, stopped = self._read(group, shards, below, since, query.max_rows - len(rows))
            rows += found
            read += len(group) * shards
            if stopped:
                # A partition has more than was asked of it: go on inside it, alone.
                below = stopped
                group = [entry for entry in group if entry[0] == bucket(stopped)] + [
                    entry for entry in group if entry[0] < bucket(stopped)
                ]
                entries = chain(group[1:], entries)
                group, width = group[:1], 1
            else:
                below = min(below, _first_of(group[-1][0]), key=sort_key)
                width = min(2 * width, _WIDEST)
                group, entries = _take(entries, width)
            if len(rows) >= query.max_rows:
                return build_page(rows[: query.max_rows], query, rows[query.max_rows - 1].id)
            if group and read >= _MAX_PARTITIONS:
                return build_page(rows, query, below)
        return build_page(rows, query, None)

    def _read(
        self, group: list[tuple[int, int]], shards: int, below: UUID, since: UUID, wanted: int
    ) -> tuple[list[Prediction], UUID | None]:
        """The newest rows of some buckets, and the last of them where there may be more."""
        # Shards fill by chance: a little more than each one's part, lest the fullest end the page early.
        limit = min(wanted, 2 * wanted // (len(group) * shards) + 5)
        values = ([number for number, _ in group], list(range(shards)), below, since, limit)
        rows = [_prediction(row) for row in self._connection.execute("list", values)]
        rows.sort(key=lambda row: sort_key(row.id), reverse=True)
        partitions: dict[tuple[int, int], list[Prediction]] = {}
        for row in rows:
            partitions.setdefault((bucket(row.id), shard(row.id)), []).append(row)
        full = [part[-1].id for part in partitions.values() if len(part) == limit]
        if not full:
            return rows, None
        stopped = max(full, key=sort_key)
        return [row for row in rows if sort_key(row.id) >= sort_key(stopped)], stopped

    def _buckets(self, newest: int, oldest: int) -> Iterator[tuple[int, int]]:
        """(bucket, shards) of the directory from newest to oldest, over any gap."""
        for year in range(min(_year(newest), datetime.now(UTC).year + 1), _year(oldest) - 1, -1):
            limit, high = 8, newest
            while True:
                found = self._connection.execute("list_buckets", (year, high, oldest, limit))
                # A bucket's rows stand together, the most shards first; the last may go on beyond the limit.
                whole = found if len(found) < limit else [row for row in found if row[0] != found[-1][0]]
                for _, (entry, *_) in groupby(whole, key=lambda row: row[0]):
                    yield entry[0], entry[1]
                if len(found) < limit:
                    break
                high = found[-1][0]
                limit = 512

    def _note_bucket(self, id: UUID) -> None:
        """Enter the id's bucket into the directory, before its first row, lest that be lost to sight.

        Again every ten minutes, so that the entry outlives a row that is written late.
        """
        now = int(time.time())
        # An id that another process claimed may lie in a shard beyond ours.
        number, shards = bucket(id), max(self._shards, shard(id) + 1)
        note = number, shards, now // BUCKET_SECONDS
        if note in self._noted:
            return
        ttl = bucket_ttl(self._retention)
        # The later timestamp wins: so the entry that lives longer, however the retention has changed.
        ends = (now + ttl) * 1_000_000 if ttl else _FOR_EVER
        self._connection.execute("put_bucket", (_year(number), number, shards, ttl, ends))
        self._noted = {noted for noted in self._noted if noted[2] == note[2]} | {note}

    def _start_thumbnail(self, prediction: Prediction, thumbnail: bytes | None) -> ResponseFuture | None:
        if thumbnail is None:
            return None
        return self._connection.start("put_thumbnail", (prediction.id, thumbnail, self._retention))

    def _row(self, prediction: Prediction) -> tuple[Any, ...]:
        return (
            bucket(prediction.id),
            shard(prediction.id),
            prediction.id,
            prediction.file_name,
            [label for label, _ in prediction.top],
            [score for _, score in prediction.top],
            prediction.model_name,
            prediction.model_version,
            self._retention,
        )


def bucket_ttl(retention: int) -> int:
    """How long a bucket's entry in the directory lives: longer than each row that it was noted for; 0: for ever."""
    return retention + 2 * BUCKET_SECONDS if retention else 0


def _place(id: UUID) -> tuple[int, int, UUID]:
    return bucket(id), shard(id), id


def _prediction(row: tuple[Any, ...]) -> Prediction:
    id, file_name, labels, scores, model_name, model_version = row
    return Prediction(id, file_name, tuple(zip(labels, scores, strict=True)), model_name, model_version)


def _year(number: int) -> int:
    return datetime.fromtimestamp(number * BUCKET_SECONDS, UTC).year


def _first_of(number: int) -> UUID:
    return first_id(datetime.fromtimestamp(number * BUCKET_SECONDS, UTC))


def _take(entries: Iterator[tuple[int, int]], width: int) -> tuple[list[tuple[int, int]], Iterator[tuple[int, int]]]:
    """The next bucket, and more as long as all have at most `width` partitions; and the entries behind them."""
    group: list[tuple[int, int]] = []
    shards = 1
    for entry in entries:
        shards = max(shards, entry[1])
        if group and (len(group) + 1) * shards > width:
            return group, chain((entry,), entries)
        group.append(entry)
        if len(group) * shards >= width:
            break
    return group, entries
