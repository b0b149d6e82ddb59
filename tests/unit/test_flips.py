import json
from collections.abc import Sequence

import numpy as np
import pytest
from lookbook.truth.flips import Flips, Pair, sign_flip_test
from lookbook.truth.special import sign_test

from tests.support.samples import make_rows, truth

RNG = np.random.default_rng(21)
ROWS = sorted(make_rows(400, RNG), key=lambda row: row.u)


def judged_flips(right: str, weights: Sequence[float] | None = None) -> Flips:
    """Flips of which "a" alone, "b" alone or neither is right, or that are unclear: one letter each."""
    rows = [Pair(row.id, row.u, 1.0, "a", "b") for row in ROWS[: len(right)]]
    if weights:
        rows = [Pair(row.id, row.u, 1 / w, "a", "b") for row, w in zip(rows, weights, strict=True)]
    named = {"?": None, "n": "neither"}
    truths = {row.id: truth(named.get(letter, letter)) for row, letter in zip(rows, right, strict=True)}
    return Flips(rows, truths, len(rows) / 210, 210)


def test_few_judged_flips_give_no_difference() -> None:
    assert judged_flips("abna").difference is None
    assert judged_flips("").difference is not None


def test_the_difference_is_the_share_of_flips_times_their_gain() -> None:
    flips = judged_flips("aabnaabnna")
    assert flips.difference is not None
    assert flips.difference.estimate == pytest.approx(10 / 210 * -0.3)
    assert (flips.test.baseline_only, flips.test.candidate_only) == (5, 2)
    assert flips.test.p_value == pytest.approx(sign_test(5, 2))
    json.dumps(flips.to_json(), allow_nan=False)


def test_unclear_flips_widen_the_interval_and_favor_nobody() -> None:
    clear, unsure = judged_flips("aaaaaannnn"), judged_flips("aaaaaann??")
    assert clear.difference is not None
    assert unsure.difference is not None
    assert unsure.difference.interval[0] < clear.difference.interval[0]
    assert unsure.difference.interval[1] > clear.difference.interval[1]
    assert unsure.test == clear.test
    assert unsure.is_worse
    assert unsure.unclear == 2


def test_a_better_model_is_not_worse() -> None:
    flips = judged_flips("bbbbbbbb")
    assert flips.test.is_significant
    assert not flips.is_worse


def test_weighted_flips_are_tested_by_their_signs() -> None:
    letters = "aaaaabbbbb"
    heavy = judged_flips(letters, [20] * 5 + [1] * 5)
    assert heavy.difference is not None
    assert heavy.difference.estimate < 0
    assert heavy.test.p_value == pytest.approx(2 / 32)
    assert judged_flips(letters, [2] * 10).test.p_value == 1


def test_the_sign_flip_test_of_equal_weights_is_mcnemar() -> None:
    for wins, losses in ((6, 0), (9, 2), (5, 5), (0, 1)):
        assert sign_flip_test(np.r_[np.ones(wins), -np.ones(losses)]) == pytest.approx(sign_test(wins, losses))
    assert sign_flip_test(np.r_[np.ones(40), -np.ones(20)]) == pytest.approx(sign_test(40, 20), abs=0.005)
    assert sign_flip_test(np.empty(0)) == 1


def test_the_sign_flip_test_keeps_its_level() -> None:
    weight = RNG.lognormal(0, 1, 25)
    ps = np.array([sign_flip_test(weight * RNG.choice((-1, 1), 25)) for _ in range(400)])
    assert (ps < 0.05).mean() < 0.08
