"""Predictions in Cassandra."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from uuid import UUID

from lookbook.job import Job
from lookbook.judgment import GroundTruth, Judgment
from lookbook.prediction import Prediction, bucket, sort_key
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
    keep_seconds,
)
from lookbook.store.cassandra import comparisons, jobs, judgments, samples
from lookbook.store.cassandra.buckets import LOWEST_ID, BucketDirectory, gc_grace_seconds, highest_id, ranges
from lookbook.store.cassandra.cluster import open_cluster
from lookbook.store.cassandra.connection import Connection
from lookbook.store.cassandra.page_reader import read_page
from lookbook.store.cassandra.samples import Samples
from lookbook.store.cassandra.scanner import scan
from lookbook.store.cassandra.statements import (
    STATEMENTS,
    Statement,
    primary_key,
    statements,
    stored_prediction,
    to_prediction,
    to_row,
)
from lookbook.store.rows import Rows

# For tables that versions before 0.3.0 do not make.
_LATER = {
    **samples.STATEMENTS,
    **judgments.STATEMENTS,
    **comparisons.STATEMENTS,
    **jobs.STATEMENTS,
    **jobs.timed({**STATEMENTS, **samples.STATEMENTS}),
}

# Microseconds by which deletions are ahead of time.
_WRITE_AHEAD = 60 * 60 * 1_000_000
_FRAME_AHEAD = 60 * 1_000_000


class CassandraStore:
    """See lookbook.store.Store. Connects in the background."""

    def __init__(self, settings: Settings, report: Callable[[float], None]) -> None:
        """`report` gets 1 when the store becomes available and 0 when it is lost."""
        self._retention = settings.retention
        self._keep_seconds = keep_seconds(settings)
        keyspace = settings.cassandra_keyspace
        self._connection = Connection(
            lambda: open_cluster(settings), statements(keyspace), statements(keyspace, _LATER), report
        )
        self._samples = Samples(self._connection, settings, self._keep_seconds)
        self._buckets = BucketDirectory(self._connection, settings.shards, settings.retention)

    def put(self, entry: Entry) -> None:
        self.put_all([entry])

    def put_all(self, entries: Sequence[Entry]) -> None:
        self._connection.execute_all(self._to_put(entries))

    def put_if_absent(self, entry: Entry) -> Prediction:
        prediction = entry.prediction
        self._buckets.add(prediction.id)
        thumbnail = [self._connection.start(*statement) for statement in self._put_thumbnail(entry)]
        call = self._connection.start("put_if_absent", to_row(prediction, self._retention))
        ((applied, *stored),) = self._connection.finish(call)
        for write in thumbnail:
            self._connection.finish(write)
        if not applied:
            found = stored_prediction(stored)
            # An earlier attempt of this call may have stored it.
            if not (call.repeated and found == prediction):
                return found
        self._connection.execute_all(self._samples.to_put(entry))
        return prediction

    def start_job(self, job: Job) -> Job:
        return jobs.start(self._connection, job)

    def job(self, tag: int) -> Job | None:
        return next((job for job in self.jobs() if job.tag == tag), None)

    def jobs(self) -> list[Job]:
        # Before the schema job has run, there is no table, and listings need none.
        return jobs.read(self._connection) if self._connection.complete() else []

    def put_job(self, job: Job, entries: Sequence[Entry]) -> None:
        jobs.put(self._connection, [jobs.as_of_start(job, statement) for statement in self._to_put(entries)])
        now = time.time_ns() // 1000
        for entry in entries:
            if entry.sampling_rate is not None:
                # The day may be closed already.
                self._samples.delete_frame(entry.prediction, now)

    def existing(self, ids: Sequence[UUID]) -> set[UUID]:
        found = self._connection.execute_all([("get_id", primary_key(id)) for id in ids])
        return {id for rows in found for (id,) in rows}

    def resume_seconds(self) -> int:
        return gc_grace_seconds(self._retention)

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

    def input(self, id: UUID) -> Input | None:
        return self._samples.input(id)

    def delete(self, id: UUID) -> bool:
        rows = self._connection.execute("get_with_write_time", primary_key(id))
        if not rows:
            return False
        ((write_time, *row),) = rows
        now = time.time_ns() // 1000
        self._connection.execute("put_deletion", (deletion_key(id),))
        self._delete_parts(to_prediction(tuple(row)), now)
        # Last, so that a deletion that fails halfway can be repeated. Cassandra ignores a deletion older than the
        # write, which may come from a machine whose clock is ahead.
        self._connection.execute("delete", (max(write_time + 1, now), *primary_key(id)))
        return True

    def forget(self, id: UUID, model_name: str, model_version: str) -> None:
        self._delete_parts(Prediction(id, "", (), model_name, model_version), time.time_ns() // 1000)

    def deleted(self, id: UUID) -> bool:
        return bool(self._connection.execute("get_deletion", (deletion_key(id),)))

    def page(self, query: Query) -> Page:
        return read_page(self._connection, self._buckets, query)

    def scan(self, since: UUID | None = None, until: UUID | None = None) -> Iterator[Rows]:
        return scan(self._connection, self._buckets, since, until)

    def judge(self, prediction: Prediction, judgment: Judgment) -> None:
        judgments.put(self._connection, prediction, judgment)

    def judgments(self, id: UUID) -> tuple[Judgment, ...]:
        return judgments.read(self._connection, id)

    def truths(self, ids: Sequence[UUID]) -> Mapping[UUID, GroundTruth]:
        return judgments.read_truths_of(self._connection, ids)

    def sampled_days(self, since: int, until: int) -> list[SampledDay]:
        return self._samples.days(since, until)

    def samples(self, day: SampledDay, limit: int, after: tuple[float, UUID] | None = None) -> list[Sample]:
        return self._samples.read(day, limit, after)

    def sampled_judgments(self, day: SampledDay, below: float) -> list[Judgment]:
        return judgments.read_sampled(self._connection, day, below)

    def frames(self, model_name: str, model_version: str, since: int, until: int) -> dict[int, DayFrame]:
        rows = self._samples.frames("list_frames", (model_name, model_version), since, until)
        return {day: DayFrame(scores, ids) for day, scores, ids in rows}

    def frame_scores(self, model_name: str, model_version: str, since: int, until: int) -> dict[int, bytes]:
        rows = self._samples.frames("list_frame_scores", (model_name, model_version), since, until)
        return {day: scores for day, scores in rows}  # noqa: C416 - rows are tuples of unknown length

    def put_frame(self, day: SampledDay, frame: DayFrame, read_at: int) -> None:
        self._samples.put_frame(day, frame, read_at)

    def claim_review(self, id: UUID, owner: str, seconds: int) -> bool:
        return judgments.claim_review(self._connection, id, owner, seconds)

    def put_comparison(self, comparison: Comparison, flips: Sequence[Flip]) -> None:
        comparisons.put(self._connection, comparison, flips, self._keep_seconds)

    def comparisons(self, baseline: str, candidate: str | None, limit: int) -> list[Comparison]:
        return comparisons.read(self._connection, baseline, candidate, limit)

    def flips(self, comparison: UUID, limit: int, after: tuple[float, UUID] | None = None) -> list[Flip]:
        return comparisons.read_flips(self._connection, comparison, limit, after)

    def put_drift_reference(self, model_name: str, model_version: str, id: UUID, annotator: str) -> None:
        self._connection.execute("put_drift_reference", (model_name, model_version, id, annotator))

    def drift_references(self, model_name: str, model_version: str) -> list[tuple[UUID, str]]:
        rows = self._connection.execute("list_drift_references", (model_name, model_version))
        return [(id, annotator) for id, annotator in rows]

    def ranges(self, since: UUID | None, until: UUID | None, count: int) -> list[tuple[UUID, UUID]]:
        newest = bucket(until or highest_id())
        found = ranges(list(self._buckets.between(newest, bucket(since or LOWEST_ID))), count)
        # The first and the last bucket may reach beyond the bounds.
        return [(max(low, since or low, key=sort_key), min(high, until or high, key=sort_key)) for low, high in found]

    def status(self) -> Status:
        return self._connection.status()

    def close(self) -> None:
        self._connection.close()

    def _to_put(self, entries: Sequence[Entry]) -> list[Statement]:
        writes: list[Statement] = []
        for entry in entries:
            self._buckets.add(entry.prediction.id)
            writes += self._put_thumbnail(entry)
            writes += self._samples.to_put(entry)
            writes.append(("put", to_row(entry.prediction, self._retention)))
        return writes

    def _put_thumbnail(self, entry: Entry) -> list[Statement]:
        """What stores the thumbnail, if any."""
        if entry.thumbnail is None:
            return []
        return [("put_thumbnail", (entry.prediction.id, entry.thumbnail, self._retention))]

    def _delete_parts(self, prediction: Prediction, now: int) -> None:
        """Delete all but the prediction itself; `now` is in microseconds.

        The deletions are ahead of time, so that they also take what another machine writes at the same time.
        """
        later = now + _WRITE_AHEAD
        deletions: list[Statement] = [("delete_thumbnail", (later, prediction.id))]
        if self._connection.complete():
            if self._samples.contain(prediction):
                # First: from now on, nobody can keep a frame made of samples that were read before they are deleted.
                self._samples.delete_frame(prediction, now + _FRAME_AHEAD)
            deletions += self._samples.to_delete(prediction, later)
            deletions += judgments.to_delete(prediction, later)
            deletions += comparisons.to_delete(self._connection, prediction, later)
        self._connection.execute_all(deletions)
