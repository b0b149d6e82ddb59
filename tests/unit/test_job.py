"""Jobs and the ids of their predictions."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from lookbook.job import MAX_SHARDS, ROWS_PER_PARTITION, Job, job_tag
from lookbook.prediction import bucket, created_at, id_maker, shard

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SMALL = Job("spring", START, "digest", 1_000)
LARGE = Job("spring", START, "digest", 20 * MAX_SHARDS * ROWS_PER_PARTITION)


def test_an_id_follows_from_job_and_path() -> None:
    again = Job("spring", START, "digest", 1_000)
    assert SMALL.id_of("/a.jpg") == again.id_of("/a.jpg")
    others = (
        SMALL.id_of("/b.jpg"),
        Job("fall", START, "digest", 1_000).id_of("/a.jpg"),
        Job("spring", START + timedelta(seconds=1), "digest", 1_000).id_of("/a.jpg"),
    )
    assert len({SMALL.id_of("/a.jpg"), *others}) == 4


def test_ids_differ_and_are_older_than_the_start() -> None:
    ids = [LARGE.id_of(f"/{number}.jpg") for number in range(10_000)]
    assert len(set(ids)) == len(ids)
    assert {id.version for id in ids} == {1}
    assert max(map(created_at, ids)) < START
    assert min(map(created_at, ids)) >= START - timedelta(minutes=200)


def test_a_small_job_fills_one_shard_of_ten_minutes() -> None:
    ids = [SMALL.id_of(f"/{number}.jpg") for number in range(1_000)]
    assert {shard(id) for id in ids} == {0}
    assert min(map(created_at, ids)) >= START - timedelta(minutes=10)


def test_no_partition_of_a_large_job_is_large() -> None:
    partitions = Counter((bucket(id), shard(id)) for id in (LARGE.id_of(str(number)) for number in range(200_000)))
    assert {part for _, part in partitions} == set(range(MAX_SHARDS))
    assert max(partitions.values()) / 200_000 * LARGE.images < 1.3 * ROWS_PER_PARTITION


def test_an_id_tells_its_job() -> None:
    assert job_tag(LARGE.id_of("/a.jpg")) == LARGE.tag
    assert job_tag(SMALL.id_of("/a.jpg")) == SMALL.tag
    assert {job_tag(id_maker()()) for _ in range(1_000)} == {None}


def test_a_path_that_is_not_unicode_has_an_id() -> None:
    assert SMALL.id_of("/\udcff.jpg") != SMALL.id_of("/\udcfe.jpg")
