"""What the estimates promise, on synthetic traffic with known truths; `make acceptance` is the long form."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from lookbook.truth.sampling import SAMPLE_SIZE

from benchmarks.truth_cases import Bursts, Tallies, alarm_after, by_label, overall, replays, reviewers
from benchmarks.truth_traffic import Week, synthetic

IMAGES = synthetic()
WEEKS = 40
COUNTS = (20, 50, 200)


@dataclass
class Found:
    accuracy: Tallies
    labels: Tallies
    reviewers: Tallies
    bursts: Bursts


@pytest.fixture(scope="module")
def found() -> Found:
    rng, found = np.random.default_rng(1), Found(Tallies(), Tallies(), Tallies(), Bursts())
    for _ in range(WEEKS):
        week = Week(rng, IMAGES, IMAGES.unseen, 20_000)
        overall(week, COUNTS, found.accuracy)
        by_label(week, (200,), found.labels)
        reviewers(rng, week, found.reviewers)
        found.bursts.add(week)
    return found


@pytest.mark.parametrize("count", COUNTS)
def test_the_interval_of_the_accuracy_covers_the_truth(found: Found, count: int) -> None:
    tally = found.accuracy[f"in the order of review, {count}"]
    assert tally.coverage >= 0.93
    assert abs(tally.bias) <= 0.005 + 3 * tally.rmse / math.sqrt(WEEKS)


def test_judgments_in_order_are_worth_more_than_as_many_at_random(found: Found) -> None:
    def error(case: str) -> float:
        return math.fsum(found.accuracy[f"{case}, {count}"].rmse ** 2 * count for count in COUNTS)

    assert error("in the order of review") <= 0.9 * error("pure random: share right")


def test_a_plain_share_of_the_queue_would_be_wrong(found: Found) -> None:
    """This shows that the cases above can fail."""
    assert found.accuracy["naive: share right in the queue, 200"].coverage < 0.3
    assert found.reviewers["naive: share right, with complaints"].coverage == 0


def test_the_intervals_of_labels_cover_the_truth(found: Found) -> None:
    for case, tally in found.labels.items():
        assert len(tally.covered) >= 90, case
        assert tally.coverage >= 0.93, case


@pytest.mark.parametrize(
    "case",
    [
        "stop at random",
        "judge days unevenly",
        "100 in order, and complaints about 30% of errors",
        "stop at the first two errors in a row",
        "stop when the interval is narrower than 0.15",
    ],
)
def test_reviewers_may_stop_and_judge_others_as_they_like(found: Found, case: str) -> None:
    tally = found.reviewers[case]
    assert tally.coverage >= 0.93
    assert abs(tally.bias) <= 0.01 + 3 * tally.rmse / math.sqrt(WEEKS)


def test_the_bounds_of_unclear_images_cover_the_truth(found: Found) -> None:
    assert found.reviewers["200, hard ones unclear"].coverage >= 0.95


def test_bursts_stay_bounded(found: Found) -> None:
    """Of n predictions, a worker samples K (1 + ln(n/K)) per bucket on average, and rarely many more."""
    assert np.mean(found.bursts.excess) <= 0.05
    assert found.bursts.most < 5 * SAMPLE_SIZE


@pytest.mark.parametrize(("clustered", "most"), [(False, 0.05), (True, 0.1)])
def test_drift_has_few_false_alarms(clustered: bool, most: float) -> None:
    rng = np.random.default_rng(2)
    alarms = [alarm_after(rng, IMAGES, 300, clustered, None) for _ in range(40)]
    assert np.isfinite(alarms).mean() <= most


@pytest.mark.parametrize("late", [0, 15])
@pytest.mark.parametrize("clustered", [False, True])
def test_a_drop_by_ten_points_is_found_within_three_chunks(clustered: bool, late: int) -> None:
    rng = np.random.default_rng(3)
    chunks = [alarm_after(rng, IMAGES, 300, clustered, "accuracy", late) for _ in range(20)]
    assert np.quantile(chunks, 0.9, method="higher") <= 3


def test_a_worse_model_is_found_and_an_equal_one_is_not() -> None:
    """The level of the test itself is exact: tests/unit/test_special.py."""
    rng = np.random.default_rng(4)
    worse, equal = (replays(rng, IMAGES, IMAGES.unseen, 40, twin=False, swapped=swapped) for swapped in (False, True))
    assert np.mean(worse[50].worse) > 0.9
    assert worse[50].tally.coverage >= 0.9
    assert np.mean([found.worse for found in equal.values()]) <= 0.05
