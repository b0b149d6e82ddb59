"""Predictions in Cassandra."""

import time
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

from lookbook.judgment import Judgment
from lookbook.prediction import Prediction
from lookbook.settings import Settings
from lookbook.store import (
    Comparison,
    DayFrame,
    Entry,
    Flip,
    Input,
    Page,
    Query,
    Sample,
    SampledDay,
    Status,
    deletion_key,
)
from lookbook.store.cassandra.buckets import BucketDirectory
from lookbook.store.cassandra.call import Call
from lookbook.store.cassandra.cluster import open_cluster
from lookbook.store.cassandra.connection import Connection
from lookbook.store.cassandra.page_reader import read_page
from lookbook.store.cassandra.scanner import scan
from lookbook.store.cassandra.statements import primary_key, statements, stored_prediction, to_prediction, to_row
from lookbook.store.rows import Rows


class CassandraStore:
    """See lookbook.store.Store. Connects in the background."""

    def __init__(self, settings: Settings, report: Callable[[float], None]) -> None:
        """`report` gets 1 when the store becomes available and 0 when it is lost."""
        self._retention = settings.retention
        self._connection = Connection(lambda: open_cluster(settings), statements(settings.cassandra_keyspace), report)
        self._buckets = BucketDirectory(self._connection, settings.shards, settings.retention)

    def put(self, entry: Entry) -> None:
        self.put_all([entry])

    def put_all(self, entries: Sequence[Entry]) -> None:
        started: list[Call] = []
        for entry in entries:
            self._buckets.add(entry.prediction.id)
            started += self._start_thumbnail(entry.prediction.id, entry.thumbnail)
            started.append(self._connection.start("put", to_row(entry.prediction, self._retention)))
        for future in started:
            self._connection.finish(future)

    def put_if_absent(self, entry: Entry) -> Prediction:
        prediction = entry.prediction
        self._buckets.add(prediction.id)
        started = self._start_thumbnail(prediction.id, entry.thumbnail)
        call = self._connection.start("put_if_absent", to_row(prediction, self._retention))
        ((applied, *stored),) = self._connection.finish(call)
        for future in started:
            self._connection.finish(future)
        if applied:
            return prediction
        found = stored_prediction(stored)
        # An earlier attempt of this call may have stored it.
        return prediction if call.repeated and found == prediction else found

    def claim(self, key: str, digest: bytes, id: UUID) -> tuple[UUID, bytes]:
        ((applied, *stored),) = self._connection.execute("claim", (key, id, digest))
        if applied:
            return id, digest
        _, known_digest, known_id = stored
        return known_id, known_digest

    def get(self, id: UUID) -> Prediction | None:
        rows = self._connection.execute("get", primary_key(id))
        return to_prediction(rows[0]) if rows else None

    def thumbnail(self, id: UUID) -> bytes | None:
        rows = self._connection.execute("get_thumbnail", (id,))
        return rows[0][0] if rows else None

    def delete(self, id: UUID) -> bool:
        rows = self._connection.execute("get_write_time", primary_key(id))
        if not rows:
            return False
        # Cassandra ignores a deletion older than the write, which may come from a machine whose clock is ahead.
        timestamp = max(rows[0][0] + 1, time.time_ns() // 1000)
        self._connection.execute("put_deletion", (deletion_key(id),))
        self._connection.execute("delete_thumbnail", (timestamp, id))
        self._connection.execute("delete", (timestamp, *primary_key(id)))
        return True

    def deleted(self, id: UUID) -> bool:
        return bool(self._connection.execute("get_deletion", (deletion_key(id),)))

    def page(self, query: Query) -> Page:
        return read_page(self._connection, self._buckets, query)

    def scan(self, since: UUID | None = None, until: UUID | None = None) -> Iterator[Rows]:
        return scan(self._connection, self._buckets, since, until)

    def input(self, id: UUID) -> Input | None:
        raise NotImplementedError

    def judge(self, prediction: Prediction, judgment: Judgment) -> None:
        raise NotImplementedError

    def judgments(self, id: UUID) -> tuple[Judgment, ...]:
        raise NotImplementedError

    def sampled_days(self, since: int, until: int) -> list[SampledDay]:
        raise NotImplementedError

    def samples(self, day: SampledDay, limit: int, after: tuple[float, UUID] | None = None) -> list[Sample]:
        raise NotImplementedError

    def sampled_judgments(self, day: SampledDay, below: float) -> list[Judgment]:
        raise NotImplementedError

    def frames(self, model_name: str, model_version: str, since: int, until: int) -> dict[int, DayFrame]:
        raise NotImplementedError

    def frame_scores(self, model_name: str, model_version: str, since: int, until: int) -> dict[int, bytes]:
        raise NotImplementedError

    def put_frame(self, day: SampledDay, frame: DayFrame, read_at: int) -> None:
        raise NotImplementedError

    def claim_review(self, id: UUID, owner: str, seconds: int) -> bool:
        raise NotImplementedError

    def put_comparison(self, comparison: Comparison, flips: Sequence[Flip]) -> None:
        raise NotImplementedError

    def comparisons(self, baseline: str, candidate: str | None, limit: int) -> list[Comparison]:
        raise NotImplementedError

    def flips(self, comparison: UUID, limit: int, after: tuple[float, UUID] | None = None) -> list[Flip]:
        raise NotImplementedError

    def put_drift_reference(self, model_name: str, model_version: str, id: UUID, annotator: str) -> None:
        raise NotImplementedError

    def drift_references(self, model_name: str, model_version: str) -> list[tuple[UUID, str]]:
        raise NotImplementedError

    def status(self) -> Status:
        return self._connection.status()

    def close(self) -> None:
        self._connection.close()

    def _start_thumbnail(self, id: UUID, thumbnail: bytes | None) -> list[Call]:
        """Start to store the thumbnail, if any."""
        if thumbnail is None:
            return []
        return [self._connection.start("put_thumbnail", (id, thumbnail, self._retention))]
