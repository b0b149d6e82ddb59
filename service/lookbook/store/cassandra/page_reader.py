"""Pages of predictions read from Cassandra, newest first."""

from itertools import chain
from uuid import UUID

from lookbook.prediction import Prediction, bucket, shard, sort_key
from lookbook.store import Page, Query, build_page
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
from lookbook.store.cassandra.judgments import read_truths
from lookbook.store.cassandra.statements import to_prediction

_MAX_PARTITIONS = 2_000  # read for one page
_MAX_WIDTH = 32  # partitions read by one statement, unless one bucket has more


def read_page(connection: Connection, directory: BucketDirectory, query: Query) -> Page:
    rows, stopped_at = _read_rows(connection, directory, query)
    return build_page(rows, query, stopped_at, read_truths(connection, [row.id for row in rows]))


def _read_rows(
    connection: Connection, directory: BucketDirectory, query: Query
) -> tuple[list[Prediction], UUID | None]:
    """At most query.max_rows and, if there may be more rows, the id where the next page starts.

    Reads bucket by bucket, then more and more buckets at once as long as they hold few rows.
    """
    below = query.below or highest_id()
    since = max(query.since or LOWEST_ID, LOWEST_ID, key=sort_key)
    buckets = directory.between(bucket(below), bucket(since))
    group, buckets = take(buckets, 1)
    rows: list[Prediction] = []
    width, partitions = 1, 0
    while group:
        found, stopped_at = _read_group(connection, group, below, since, query.max_rows - len(rows))
        rows += found
        partitions += len(group) * most_shards(group)
        if len(rows) >= query.max_rows:
            return rows[: query.max_rows], rows[query.max_rows - 1].id
        if stopped_at:
            # A partition holds more rows than were read: continue with its bucket only.
            below, width = stopped_at, 1
            buckets = chain([entry for entry in group if entry.number <= bucket(below)], buckets)
        else:
            below, width = min(below, first_id_of(group[-1]), key=sort_key), min(2 * width, _MAX_WIDTH)
        group, buckets = take(buckets, width)
        if group and partitions >= _MAX_PARTITIONS:
            return rows, below
    return rows, None


def _read_group(
    connection: Connection, group: list[Bucket], below: UUID, since: UUID, max_rows: int
) -> tuple[list[Prediction], UUID | None]:
    """The newest rows of some buckets and, if there may be more rows, the id of the last one."""
    shards = most_shards(group)
    # Ids fall into shards by chance, so one shard may hold more than its part: read twice that part.
    limit = min(max_rows, 2 * max_rows // (len(group) * shards) + 5)
    values = ([entry.number for entry in group], list(range(shards)), below, since, limit)
    rows = [to_prediction(row) for row in connection.execute("list", values)]
    rows.sort(key=lambda row: sort_key(row.id), reverse=True)
    partitions: dict[tuple[int, int], list[Prediction]] = {}
    for row in rows:
        partitions.setdefault((bucket(row.id), shard(row.id)), []).append(row)
    # If a partition was cut off, the rows after its last one are missing.
    cut_off = [partition[-1].id for partition in partitions.values() if len(partition) == limit]
    if not cut_off:
        return rows, None
    stopped_at = max(cut_off, key=sort_key)
    return [row for row in rows if sort_key(row.id) >= sort_key(stopped_at)], stopped_at
