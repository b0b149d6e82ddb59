import numpy as np
import pytest
from lookbook.truth.accuracy import Rows, effective_size, either, ratio, share_right
from lookbook.truth.special import wilson

RNG = np.random.default_rng(3)


def uniform(score: np.ndarray, count: int, inclusion: float = 1.0) -> Rows:
    """The first `count` rows judged, each row as likely as any other."""
    size = len(score)
    return Rows(score, np.full(size, inclusion), np.arange(count), np.full(count, size / count / inclusion))


def test_scores_that_say_nothing_leave_the_share_of_right_rows() -> None:
    right = (np.arange(100) % 5 > 0).astype(float)
    share = share_right(uniform(np.full(1_000, 0.7), 100), right)
    assert share.estimate == pytest.approx(0.8)
    assert share.effective_sample_size == pytest.approx(100 * 0.16 / 0.21, rel=0.01)  # the floor of the scores
    assert share.interval == wilson(share.estimate, share.effective_sample_size)
    assert (share.n, share.support) == (100, 1_000)


def test_all_scores_correct_the_judged_ones() -> None:
    """The judged rows happen to be sure ones, which the frame's mean score shows."""
    score = np.r_[np.full(20, 0.9), np.full(980, 0.6)]
    share = share_right(uniform(score, 20), np.r_[np.ones(18), np.zeros(2)])
    assert share.estimate == pytest.approx(0.606)


def test_the_factor_of_useless_scores_is_small_once_enough_is_judged() -> None:
    score, right = RNG.random(2_000), (RNG.random(400) < 0.5).astype(float)
    share = share_right(uniform(score, 400), right)
    assert share.estimate == pytest.approx(right.mean(), abs=0.01)


def test_the_finite_population_does_not_narrow_the_interval() -> None:
    """The interval describes the traffic: even if all 50 predictions are judged, they are only a part of it."""
    right = (np.arange(50) % 5 > 0).astype(float)
    share = share_right(uniform(np.full(50, 0.8), 50), right)
    assert share.effective_sample_size == pytest.approx(50, rel=0.01)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_right_and_all_wrong_have_an_interval(value: float) -> None:
    share = share_right(uniform(np.full(500, value), 10), np.full(10, value))
    assert share.estimate == value
    assert share.interval == pytest.approx(wilson(value, 10))
    assert share.standard_error > 0


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("judged", [5, 7, 40])
def test_the_interval_of_an_estimate_near_an_end_is_as_narrow_as_that_at_the_end(value: float, judged: int) -> None:
    """The judged rows have the frame's mean score but for 0.001, so that the estimate is 0.999 or 0.001."""
    score = np.full(500, abs(value - 0.05))
    score[:judged] += (value - 0.5) * 0.002 * 500 / (500 - judged)
    share = share_right(uniform(score, judged), np.full(judged, value))
    assert share.estimate == pytest.approx(abs(value - 0.001), abs=1e-6)
    assert share.interval == pytest.approx(wilson(value, judged), abs=0.1)


def test_rows_of_one_label() -> None:
    rows = Rows(
        np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0.5, 0.25, 0.2]), np.array([0, 2, 3]), np.array([1.0, 4, 5])
    )
    mine = rows.where(np.array([False, True, False, True]))
    assert mine.score.tolist() == [0.8, 0.6]
    assert mine.judged.tolist() == [1]
    assert mine.weight.tolist() == [5]
    assert mine.population == 7


def test_a_ratio_uses_kish() -> None:
    weight = np.array([1.0, 1, 4])
    share = ratio(np.array([True, False, True]), weight, 60)
    assert effective_size(weight) == 2
    assert share.estimate == pytest.approx(5 / 6)
    assert share.interval == wilson(share.estimate, 2)
    assert share.n == 3


def test_either_is_the_union() -> None:
    low, high = (ratio(np.arange(20) < right, np.ones(20), 20) for right in (10, 14))
    both = either(low, high)
    assert both.estimate == pytest.approx(0.6)
    assert both.interval == (low.interval[0], high.interval[1])
    assert both.to_json()["confidence_interval"] == list(both.interval)
