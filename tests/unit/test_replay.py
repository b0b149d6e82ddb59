from collections.abc import Sequence
from uuid import UUID

import numpy as np
import pytest
from lookbook.judgment import GroundTruth
from lookbook.truth.flips import Pair
from lookbook.truth.replay import Replay, is_faithful

from tests.support.samples import Row, make_frame, make_rows, truths_of

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
    return {flip.id: known[flip.id] for flip in replay.flips.flips[:count]}


def test_a_model_against_itself_is_never_worse() -> None:
    replay = Replay.of(pairs(ROWS, {}), truths_of(ROWS))
    assert not replay.is_worse
    assert replay.agreement is not None
    assert replay.agreement.estimate == 1
    assert replay.flips.difference is not None
    assert replay.flips.difference.estimate == 0
    assert replay.flips.difference.interval == pytest.approx((-0.0095, 0.0095), abs=1e-4)
    assert replay.flips.test.p_value == 1
    assert replay.flips_by_label() == []


def test_exchanged_labels_are_found_with_six_judgments() -> None:
    """Six flips of which the stored model is right: with five, no test can know."""
    swapped = pairs(ROWS, EXCHANGED)
    every = Replay.of(swapped, {})
    known = truths_of(ROWS)
    right = [flip for flip in every.flips.flips if known[flip.id].label == flip.baseline]
    position = every.flips.flips.index(right[5]) + 1
    assert position <= 8
    for count in range(position):
        assert not Replay.of(swapped, first_flips(every, count)).is_worse
    found = Replay.of(swapped, first_flips(every, position))
    assert found.is_worse
    assert found.flips.test.p_value == pytest.approx(2 / 64)
    assert found.flips.difference is not None
    assert found.flips.difference.interval[1] < 0


def test_flips_are_counted_by_their_labels() -> None:
    replay = Replay.of(pairs(ROWS, {"Dress": "Coat", "Shirt": "Coat"}), {})
    flips = replay.flips_by_label()
    assert {(a, b) for a, b, _, _ in flips} == {("Dress", "Coat"), ("Shirt", "Coat")}
    assert sum(rows for _, _, rows, _ in flips) == len(replay.flips.flips)
    assert sum(share for *_, share in flips) == pytest.approx(len(replay.flips.flips) / 400)
    assert replay.agreement is not None
    assert 1 - replay.agreement.estimate == pytest.approx(len(replay.flips.flips) / 400)


def test_a_flip_judged_out_of_turn_does_not_count_yet() -> None:
    swapped = pairs(ROWS, EXCHANGED)
    every = Replay.of(swapped, {})
    early, late = first_flips(every, 10), first_flips(every, 20)
    del late[every.flips.flips[10].id]
    assert Replay.of(swapped, late).to_json() == Replay.of(swapped, early).to_json()


def test_a_faithful_replay_repeats_label_and_score() -> None:
    assert is_faithful(("Dress", 0.81), ("Dress", 0.8295))
    assert not is_faithful(("Dress", 0.81), ("Dress", 0.84))
    assert not is_faithful(("Dress", 0.5), ("Shirt", 0.5))


def test_nothing_to_compare() -> None:
    found = Replay.of([], {}).to_json()
    assert found["agreement"] is found["accuracy_difference"] is None
    assert found["flips"] == []
