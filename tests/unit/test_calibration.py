import numpy as np
import pytest
from lookbook.truth.calibration import calibrate, cox

RNG = np.random.default_rng(5)
SCORE = RNG.beta(4, 1, 5_000)
RIGHT = (RNG.random(5_000) < SCORE).astype(float)
ONES = np.ones(5_000)


def test_calibrated_scores_show_no_error() -> None:
    found = calibrate(SCORE, RIGHT, ONES)
    assert found is not None
    assert found.error < 0.01
    assert found.line == pytest.approx((0, 1), abs=0.15)
    assert found.brier_score == pytest.approx(((SCORE - RIGHT) ** 2).mean())
    assert len(found.bins) == 10
    assert sum(bin.n for bin in found.bins) == 5_000
    assert sum(bin.interval[0] <= bin.score <= bin.interval[1] for bin in found.bins) >= 8


def test_overconfident_scores_show_a_slope_below_one() -> None:
    logit = np.log(SCORE / (1 - SCORE))
    found = calibrate(1 / (1 + np.exp(-2 * logit)), RIGHT, ONES)
    assert found is not None
    assert found.error > 0.04
    assert found.line is not None
    assert found.line[1] == pytest.approx(0.5, abs=0.1)


def test_weights_are_counts() -> None:
    weight = RNG.integers(1, 4, 500)
    rows = np.repeat(np.arange(500), weight)
    one = calibrate(SCORE[:500], RIGHT[:500], weight.astype(float))
    other = calibrate(SCORE[rows], RIGHT[rows], np.ones(len(rows)))
    assert one is not None
    assert other is not None
    assert one.line == pytest.approx(other.line)
    assert one.brier_score == pytest.approx(other.brier_score)


def test_little_gives_little() -> None:
    assert calibrate(SCORE[:4], RIGHT[:4], ONES[:4]) is None
    five = calibrate(SCORE[:5], np.ones(5), ONES[:5])
    assert five is not None
    assert five.line is None
    assert len(five.bins) == 1


def test_scores_that_separate_have_no_line() -> None:
    score = np.r_[np.linspace(0.1, 0.4, 10), np.linspace(0.6, 0.9, 10)]
    assert cox(score, (score > 0.5).astype(float), np.ones(20)) is None
    assert cox(np.full(20, 0.7), np.r_[np.ones(10), np.zeros(10)], np.ones(20)) is not None
