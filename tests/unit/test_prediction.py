import threading
import uuid
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from lookbook.prediction import (
    bucket,
    created_at,
    day,
    first_id,
    from_sort_key,
    id_maker,
    permanent_random,
    shard,
    sort_key,
)

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


def test_an_id_carries_its_time_and_bucket() -> None:
    id = id_maker(clock=lambda: nanoseconds(NOW))()
    assert id.version == 1
    assert created_at(id) == NOW
    assert bucket(id) == int(NOW.timestamp()) // 600


def test_a_bucket_is_ten_minutes() -> None:
    times = iter(nanoseconds(NOW) + seconds * 10**9 for seconds in (0, 599, 600))
    make = id_maker(clock=times.__next__)
    first, same, next_one = (bucket(make()) for _ in range(3))
    assert (same, next_one) == (first, first + 1)


def test_a_day_ends_at_midnight_utc() -> None:
    midnight = datetime(2026, 2, 1, tzinfo=UTC)
    moments = (midnight - timedelta(microseconds=1), midnight)
    before, after = (day(first_id(moment)) for moment in moments)
    assert (before, after) == ((midnight.date() - date(1970, 1, 1)).days - 1, before + 1)


def test_the_permanent_random_number_is_the_same_on_every_machine() -> None:
    assert permanent_random(uuid.UUID("01f0fe7e-7a4f-1a00-8c00-4d3a5b6c7d8e")) == 0.11203909652927435


def test_permanent_random_numbers_are_uniform() -> None:
    make = id_maker()
    numbers = sorted(permanent_random(make()) for _ in range(10_000))
    # Kolmogorov-Smirnov: a distance of 2 / sqrt(n) has probability 0.0007.
    assert max(abs(number - rank / 10_000) for rank, number in enumerate(numbers)) < 0.02
    assert numbers[0] >= 0
    assert numbers[-1] < 1


def test_ids_keep_their_order_when_the_clock_is_set_back() -> None:
    times = iter([2_000_000_000 * 10**9, 1_900_000_000 * 10**9, 1_900_000_000 * 10**9])
    make = id_maker(clock=lambda: next(times))
    made = [sort_key(make()) for _ in range(3)]
    assert made == sorted(set(made))


def test_ids_from_many_threads_are_unique() -> None:
    make = id_maker()
    made: list[uuid.UUID] = []
    threads = [threading.Thread(target=lambda: made.extend(make() for _ in range(2000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 16_000


def test_ids_spread_over_the_shards() -> None:
    times = iter(range(10**18, 10**18 + 10**6, 100))
    make = id_maker(shards=4, clock=lambda: next(times))
    assert {shard(make()) for _ in range(100)} == {0, 1, 2, 3}


@given(st.integers(0, (1 << 60) - 1), st.integers(0, (1 << 62) - 1))
def test_an_id_follows_from_its_sort_key(stamp: int, low: int) -> None:
    id = uuid.UUID(int=uuid.UUID(fields=(0, 0, 0x1000, 0, 0, 0)).int | 1 << 63 | low)
    id = uuid.UUID(
        fields=(stamp & 0xFFFFFFFF, stamp >> 32 & 0xFFFF, 0x1000 | stamp >> 48, id.clock_seq_hi_variant,
                id.clock_seq_low, id.node)
    )  # fmt: skip
    assert from_sort_key(sort_key(id)) == id


@given(st.datetimes(datetime(2020, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_the_first_id_separates_its_moment_from_those_before(moment: datetime) -> None:
    ticks = int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000
    at = id_maker(clock=lambda: ticks)()
    before = id_maker(clock=lambda: ticks - 100)()
    if created_at(at) == moment:
        assert sort_key(first_id(moment)) <= sort_key(at)
    if ticks > nanoseconds(datetime(2020, 1, 2, tzinfo=UTC)):
        assert sort_key(before) < sort_key(first_id(moment)) or created_at(before) == moment
