"""The directory of buckets that hold predictions, which lets listings skip empty ones."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain, groupby
from typing import NamedTuple
from uuid import UUID

from lookbook.prediction import BUCKET_SECONDS, FIRST_YEAR, bucket, first_id, shard
from lookbook.store.cassandra.connection import Connection

LOWEST_ID = first_id(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC))

_DEFAULT_GC_GRACE_SECONDS = 10 * 24 * 60 * 60
_NEVER = 1 << 62  # a timestamp in microseconds, later than the expiration of any entry
_FIRST_LIMIT, _NEXT_LIMIT = 8, 512


class Bucket(NamedTuple):
    """Ten minutes of predictions in `shards` partitions."""

    number: int
    shards: int


class BucketDirectory:
    """Safe to use from several threads."""

    def __init__(self, connection: Connection, shards: int, retention: int) -> None:
        """`retention` is in seconds, 0 for no limit."""
        self._connection = connection
        self._shards = shards
        self._retention = retention
        self._added: set[tuple[int, int, int]] = set()

    def add(self, id: UUID) -> None:
        """Enter the id's bucket. Call this before its first row is written; otherwise, listings miss that row.

        Each process enters a bucket again every ten minutes, so that the entry outlives a row that is written late.
        """
        now = int(time.time())
        # An idempotency key that another process claimed may bind an id in a shard beyond ours.
        number, shards = bucket(id), max(self._shards, shard(id) + 1)
        period = now // BUCKET_SECONDS
        if (number, shards, period) in self._added:
            return
        ttl = bucket_ttl(self._retention)
        self._connection.execute("put_bucket", (_year(number), number, shards, ttl, expiration(now, ttl)))
        self._added = {entry for entry in self._added if entry[2] == period} | {(number, shards, period)}

    def between(self, newest: int, oldest: int) -> Iterator[Bucket]:
        """The buckets from number `newest` down to number `oldest`, read as they are needed."""
        for year in range(min(_year(newest), datetime.now(UTC).year + 1), _year(oldest) - 1, -1):
            limit, highest = _FIRST_LIMIT, newest
            while True:
                found = self._connection.execute("list_buckets", (year, highest, oldest, limit))
                # The rows of a bucket are adjacent, the most shards first. Rows of the last one may be missing.
                complete = found if len(found) < limit else [row for row in found if row[0] != found[-1][0]]
                for _, rows in groupby(complete, key=lambda row: row[0]):
                    yield Bucket(*next(rows))
                if len(found) < limit:
                    break
                limit, highest = _NEXT_LIMIT, found[-1][0]


def highest_id() -> UUID:
    """An id that sorts after every id made this year, and a year later."""
    return first_id(datetime(datetime.now(UTC).year + 2, 1, 1, tzinfo=UTC))


def take(buckets: Iterator[Bucket], width: int) -> tuple[list[Bucket], Iterator[Bucket]]:
    """The next bucket, and more while they have at most `width` partitions together; and the remaining buckets."""
    group: list[Bucket] = []
    for entry in buckets:
        if group and (len(group) + 1) * most_shards([*group, entry]) > width:
            return group, chain((entry,), buckets)
        group.append(entry)
        if len(group) * most_shards(group) >= width:
            break
    return group, buckets


def most_shards(group: list[Bucket]) -> int:
    return max(entry.shards for entry in group)


def first_id_of(entry: Bucket) -> UUID:
    return first_id(datetime.fromtimestamp(entry.number * BUCKET_SECONDS, UTC))


def expiration(now: int, ttl: int) -> int:
    """The write timestamp of a directory's entry: the microsecond when it expires.

    Cassandra keeps the latest timestamp, and so the entry that lives longest, even if the retention has changed.
    """
    return (now + ttl) * 1_000_000 if ttl else _NEVER


def ranges(buckets: Sequence[Bucket], count: int) -> list[tuple[UUID, UUID]]:
    """At most `count` ranges of ids, lower bound first, with about as many of the buckets each."""
    size = -(-len(buckets) // count) or 1
    groups = [buckets[start : start + size] for start in range(0, len(buckets), size)]
    return [(first_id_of(group[-1]), first_id_of(Bucket(group[0].number + 1, 1))) for group in groups]


def bucket_ttl(retention: int) -> int:
    """Seconds that an entry of the directory lives, longer than every row in its bucket; 0 for no limit."""
    return retention + 2 * BUCKET_SECONDS if retention else 0


def gc_grace_seconds(retention: int) -> int:
    """Cassandra's default of ten days, but no more than the retention (in seconds; 0: unlimited).

    Until then, an expired row counts as a tombstone, and Cassandra aborts a read that meets 100,000 of them. Deletions
    need not be remembered for longer than the deleted row would have lived.
    """
    return min(retention or _DEFAULT_GC_GRACE_SECONDS, _DEFAULT_GC_GRACE_SECONDS)


def _year(number: int) -> int:
    return datetime.fromtimestamp(number * BUCKET_SECONDS, UTC).year
