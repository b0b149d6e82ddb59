import json
from collections.abc import Sequence
from uuid import UUID

import numpy as np
import pytest
from lookbook.judgment import GroundTruth
from lookbook.truth.replay import Pair, Replay, is_faithful, sign_flip_test
from lookbook.truth.special import sign_test

from tests.support.samples import Row, make_frame, make_rows, truth, truths_of

RNG = np.random.default_rng(21)
ROWS = sorted(make_rows(400, RNG), key=lambda row: row.u)
EXCHANGED = {"Dress": "Shirt", "Shirt": "Dress"}


def pairs(rows: Sequence[Row], exchanged: dict[str, str]) -> list[Pair]:
    """A candidate that exchanges labels."""
    frame = make_frame(rows)
    inclusion = dict(zip(frame.ids.tolist(), frame.scores.inclusion.tolist(), strict=True))
    return [
        Pair(row.id, row.u, inclusion[row.id.bytes], row.label, exchanged.get(row.label, row.label)) for row in rows
    ]


def first_flips(replay: Replay, count: int) -> dict[UUID, GroundTruth]:
    known = truths_of(ROWS)
    return {flip.id: known[flip.id] for flip in replay.flips[:count]}


def judged_flips(right: str, weights: Sequence[float] | None = None) -> Replay:
    """Flips of which "a" alone, "b" alone or neither is right, or that are unclear: one letter each."""
    rows = [Pair(row.id, row.u, 1.0, "a", "b") for row in ROWS[: len(right)]]
    if weights:
        rows = [Pair(row.id, row.u, 1 / w, "a", "b") for row, w in zip(rows, weights, strict=True)]
    named = {"?": None, "n": "neither"}
    truths = {row.id: truth(named.get(letter, letter)) for row, letter in zip(rows, right, strict=True)}
    return Replay([*rows, *(Pair(row.id, row.u, 1.0, "a", "a") for row in ROWS[100:300])], truths)


def test_a_model_against_itself_is_never_worse() -> None:
    replay = Replay(pairs(ROWS, {}), truths_of(ROWS))
    assert not replay.is_worse
    assert replay.agreement is not None
    assert replay.agreement.estimate == 1
    assert replay.difference is not None
    assert replay.difference.estimate == 0
    assert replay.difference.interval == pytest.approx((-0.0095, 0.0095), abs=1e-4)
    assert replay.test.p_value == 1
    assert replay.flips_by_label() == []


def test_exchanged_labels_are_found_with_six_judgments() -> None:
    """Six flips of which the stored model is right: with five, no test can know."""
    every = Replay(pairs(ROWS, EXCHANGED), {})
    known = truths_of(ROWS)
    right = [flip for flip in every.flips if known[flip.id].label == flip.baseline]
    position = every.flips.index(right[5]) + 1
    assert position <= 8
    for count in range(position):
        assert not Replay(every.pairs, first_flips(every, count)).is_worse
    found = Replay(every.pairs, first_flips(every, position))
    assert found.is_worse
    assert found.test.p_value == pytest.approx(2 / 64)
    assert found.difference is not None
    assert found.difference.interval[1] < 0


def test_flips_are_counted_by_their_labels() -> None:
    replay = Replay(pairs(ROWS, {"Dress": "Coat", "Shirt": "Coat"}), {})
    flips = replay.flips_by_label()
    assert {(a, b) for a, b, _, _ in flips} == {("Dress", "Coat"), ("Shirt", "Coat")}
    assert sum(rows for _, _, rows, _ in flips) == len(replay.flips)
    assert sum(share for *_, share in flips) == pytest.approx(len(replay.flips) / 400)
    assert replay.agreement is not None
    assert 1 - replay.agreement.estimate == pytest.approx(len(replay.flips) / 400)


def test_a_flip_judged_out_of_turn_does_not_count_yet() -> None:
    every = Replay(pairs(ROWS, EXCHANGED), {})
    early, late = first_flips(every, 10), first_flips(every, 20)
    del late[every.flips[10].id]
    assert Replay(every.pairs, late).to_json() == Replay(every.pairs, early).to_json()


def test_few_judged_flips_give_no_difference() -> None:
    assert judged_flips("abna").difference is None
    assert judged_flips("").difference is not None
    assert Replay([], {}).to_json()["agreement"] is None


def test_the_difference_is_the_share_of_flips_times_their_gain() -> None:
    replay = judged_flips("aabnaabnna")
    assert replay.difference is not None
    assert replay.difference.estimate == pytest.approx(10 / 210 * -0.3)
    assert (replay.test.baseline_only, replay.test.candidate_only) == (5, 2)
    assert replay.test.p_value == pytest.approx(sign_test(5, 2))
    json.dumps(replay.to_json(), allow_nan=False)


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
    replay = judged_flips("bbbbbbbb")
    assert replay.test.is_significant
    assert not replay.is_worse


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


def test_a_faithful_replay_repeats_label_and_score() -> None:
    assert is_faithful(("Dress", 0.81), ("Dress", 0.8295))
    assert not is_faithful(("Dress", 0.81), ("Dress", 0.84))
    assert not is_faithful(("Dress", 0.5), ("Shirt", 0.5))
