import math
import time
import timeit
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import numpy as np
import pytest
from lookbook.prediction import BUCKET_SECONDS, day, id_maker
from lookbook.truth.sampling import SAMPLE_SIZE, Sampler, is_sampled

from tests.support.samples import Row, id_at, make_frame

START = 1_767_225_600  # 2026-01-01T00:00:00Z


def ids(count: int, second: float = START, step: float = 0.001) -> list[UUID]:
    """IDs that are made `step` seconds apart."""
    times: Iterator[int] = iter(int((second + n * step) * 1e9) for n in range(count))
    make = id_maker(clock=lambda: next(times))
    return [make() for _ in range(count)]


def test_a_quiet_bucket_is_sampled_as_a_whole() -> None:
    sampler = Sampler()
    assert [sampler.rate(id) for id in ids(SAMPLE_SIZE)] == [1.0] * SAMPLE_SIZE
    assert sampler.rate(ids(1, START + 1)[0]) == SAMPLE_SIZE / (SAMPLE_SIZE + 1)


def test_the_count_of_the_bucket_before_sets_the_rate() -> None:
    sampler = Sampler()
    for id in ids(1_000):
        sampler.rate(id)
    assert sampler.rate(ids(1, START + BUCKET_SECONDS)[0]) == SAMPLE_SIZE / 1_000
    assert sampler.rate(ids(1, START + 3 * BUCKET_SECONDS)[0]) == 1.0  # the bucket before was empty


def test_a_burst_takes_few_rows() -> None:
    taken = []
    for repetition in range(30):
        sampler = Sampler()
        taken.append(sum(is_sampled(id, sampler.rate(id)) for id in ids(5_000, START + repetition * 1e4)))
    mean = SAMPLE_SIZE * (1 + math.log(5_000 / SAMPLE_SIZE))
    assert np.mean(taken) == pytest.approx(mean, abs=4 * math.sqrt(mean / 30))


def test_steady_traffic_takes_the_sample_size_of_each_bucket() -> None:
    sampler, taken = Sampler(), np.zeros(40)
    for number in range(40):
        batch = ids(2_000, START + number * BUCKET_SECONDS)
        taken[number] = sum(is_sampled(id, sampler.rate(id)) for id in batch)
    assert taken[1:].mean() == pytest.approx(SAMPLE_SIZE, abs=4 * math.sqrt(SAMPLE_SIZE / 39))


def test_a_late_id_counts_in_the_current_bucket() -> None:
    sampler, late = Sampler(), ids(1, START - 1)[0]
    for id in ids(SAMPLE_SIZE):
        sampler.rate(id)
    assert sampler.rate(late) == SAMPLE_SIZE / (SAMPLE_SIZE + 1)


def test_a_retry_decides_alike() -> None:
    for id in ids(100):
        assert is_sampled(id, 1.0)
        assert not is_sampled(id, 0.0)
        assert is_sampled(id, 0.3) == is_sampled(UUID(str(id)), 0.3)


def test_threads_lose_no_count() -> None:
    sampler, all_ids = Sampler(), ids(20_000)
    with ThreadPoolExecutor(8) as pool:
        rates = list(pool.map(sampler.rate, all_ids, chunksize=500))
    assert sorted(rates) == sorted(min(1.0, SAMPLE_SIZE / count) for count in range(1, 20_001))


def test_a_rate_costs_microseconds() -> None:
    sampler, id = Sampler(), ids(1)[0]
    seconds = timeit.repeat(lambda: sampler.rate(id), timer=time.thread_time, number=10_000, repeat=5)
    assert min(seconds) / 10_000 < 2e-6


def test_skewed_clocks_retries_and_midnight_leave_each_day_known() -> None:
    """Two workers, one four minutes ahead; a tenth is retried, and stored once. The weights still add up."""
    rng, known = np.random.default_rng(5), []
    for _ in range(30):
        samplers, rows, made = (Sampler(), Sampler()), dict[int, list[Row]](), dict[int, int]()
        for second in np.sort(rng.uniform(-3_600, 3_600, 2_000)):
            worker = int(rng.random() < 0.3)
            id = id_at(START + second + 240 * worker, rng)
            rate = samplers[worker].rate(id)
            made[day(id)] = made.get(day(id), 0) + 1
            if is_sampled(id, rate):
                rows.setdefault(day(id), []).append(Row(id, "Dress", 0.9, "Dress", rate))
            if rng.random() < 0.1:
                samplers[worker].rate(id)
        assert sorted(rows) == [day(ids(1, START - 1)[0]), day(ids(1)[0])]
        known.append([make_frame(rows[one], one).scores.weight.sum() / made[one] for one in sorted(rows)])
    assert np.mean(known, axis=0) == pytest.approx(1, abs=4 * np.std(known) / math.sqrt(30))
