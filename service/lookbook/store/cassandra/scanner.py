"""All predictions read from Cassandra, newest first. Tests: tests/unit/test_scan.py."""

from collections.abc import Iterator
from itertools import chain
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from lookbook.prediction import BUCKET_SECONDS, bucket, sort_key
from lookbook.store.cassandra.buckets import (
    LOWEST_ID,
    Bucket,
    BucketDirectory,
    first_id_of,
    highest_id,
    most_shards,
    take,
)
from lookbook.store.cassandra.connection import Connection
from lookbook.store.cassandra.judgments import read_between
from lookbook.store.rows import Rows, build_rows, sort_keys

_READ_ROWS = 5_000  # by one statement, so that it ends long before its timeout
_MAX_WIDTH = 32  # partitions read by one statement, unless one bucket has more
_BUCKET_TICKS = BUCKET_SECONDS * 10_000_000
_SHARD_BYTE = 9  # of UUID.bytes


def scan(connection: Connection, directory: BucketDirectory, since: UUID | None, until: UUID | None) -> Iterator[Rows]:
    """Reads bucket by bucket, then more and more buckets at once as long as they hold few rows."""
    below = until or highest_id()
    since = max(since or LOWEST_ID, LOWEST_ID, key=sort_key)
    width = 1
    group, buckets = take(directory.between(bucket(below), bucket(since)), width)
    while group:
        rows, stopped_at = _read_group(connection, group, below, since)
        if rows:
            yield rows
        if stopped_at:
            below, width = stopped_at, 1
            buckets = chain([entry for entry in group if entry.number <= bucket(below)], buckets)
        else:
            below, width = min(below, first_id_of(group[-1]), key=sort_key), min(2 * width, _MAX_WIDTH)
        group, buckets = take(buckets, width)


def _read_group(
    connection: Connection, group: list[Bucket], below: UUID, since: UUID
) -> tuple[Rows | None, UUID | None]:
    """The newest rows of some buckets and, if there may be more rows, the id of the last one."""
    buckets, shards = [entry.number for entry in group], list(range(most_shards(group)))
    partitions = len(buckets) * len(shards)
    limit = _READ_ROWS if partitions == 1 else 2 * _READ_ROWS // partitions + 5
    found = connection.execute("scan", (buckets, shards, below, since, limit))
    if not found:
        return None, None
    order, cut_off = _newest_first(b"".join(row[0] for row in found), limit)
    ids, *columns = zip(*[found[number] for number in order], strict=True)
    newest, oldest = UUID(bytes=ids[0]), UUID(bytes=ids[-1])
    judgments = read_between(connection, buckets, shards, newest, oldest)
    return build_rows(b"".join(ids), columns, judgments), oldest if cut_off else None


def _newest_first(ids: bytes, limit: int) -> tuple[list[int], bool]:
    """The order of the rows down to the end of the first partition that was cut off, and whether any was."""
    keys = sort_keys(ids)
    order = np.lexsort((keys[:, 1], keys[:, 0]))[::-1]
    # In reverse, because np.unique() returns the index of the first occurrence.
    _, index, counts = np.unique(_partitions(ids, keys)[order[::-1]], return_index=True, return_counts=True)
    # If a partition was cut off, the rows after its last one are missing.
    ends = len(order) - index[counts >= limit]
    return order[: ends.min(initial=len(order))].tolist(), bool(ends.size)


def _partitions(ids: bytes, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A number for the bucket and the shard of each id; UUIDs count from the midnight of a day, as buckets do."""
    shards = np.frombuffer(ids, np.uint8).reshape(-1, 16)[:, _SHARD_BYTE]
    return keys[:, 0] // np.uint64(_BUCKET_TICKS) << np.uint64(8) | shards
