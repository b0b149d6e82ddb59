from itertools import pairwise
from uuid import uuid1

import numpy as np
import pytest
from lookbook.truth.judged import UNCLEAR, UNSETTLED, Judged

from tests.support.samples import DAY, in_order, judge, make_frame, make_rows, truth, truths_of

RNG = np.random.default_rng(2)
ROWS = make_rows(200, RNG)
FRAME = make_frame(ROWS)


def test_nothing_is_judged() -> None:
    for frames in ([], [make_frame([])], [FRAME]):
        judged = Judged(frames, {uuid1(): truth("Dress")})
        assert len(judged.counted) == len(judged.weight) == 0


def test_rows_in_order_count_up_to_the_first_unsettled() -> None:
    judged = Judged([FRAME], judge([FRAME], ROWS, 30))
    assert {judged.id(row) for row in judged.counted} == set(in_order([FRAME], 30))
    assert judged.first_unsettled[0] == sorted(FRAME.key)[30]
    expected = np.minimum(1, FRAME.size[judged.counted] * judged.first_unsettled[0])
    assert judged.weight == pytest.approx(1 / expected)


def test_a_row_judged_out_of_turn_counts_when_the_order_reaches_it() -> None:
    order = in_order([FRAME], 60)
    early = judge([FRAME], ROWS, 20)
    complaint = truths_of(row for row in ROWS if row.id == order[40])
    assert len(Judged([FRAME], early | complaint).counted) == 20
    assert len(Judged([FRAME], judge([FRAME], ROWS, 40) | complaint).counted) == 41


def test_unclear_settles_a_row() -> None:
    order = in_order([FRAME], 30)
    judged = Judged([FRAME], judge([FRAME], ROWS, 30) | {order[3]: truth(None)})
    assert len(judged.counted) == 30
    assert (judged.truth[judged.counted] == UNCLEAR).sum() == 1
    assert (judged.truth == UNSETTLED).sum() == 170


def test_a_judged_day_stands_for_itself() -> None:
    judged = Judged([FRAME], truths_of(ROWS))
    assert len(judged.counted) == 200
    assert (judged.weight == 1).all()


def test_each_frame_has_its_own_prefix() -> None:
    second = make_rows(100, RNG, DAY + 1, rate=0.5)
    frames = [FRAME, make_frame(second, DAY + 1)]
    judged = Judged(frames, judge(frames[:1], ROWS, 10) | judge(frames[1:], second, 25))
    assert np.bincount(judged.frame[judged.counted]).tolist() == [10, 25]
    assert [judged.id(row) for row in (0, 199, 200, 299)] == [
        FRAME.id(0),
        FRAME.id(199),
        frames[1].id(0),
        frames[1].id(99),
    ]


def test_weights_sum_to_the_population_on_average() -> None:
    """Also where workers sample at different rates."""
    totals = []
    for _ in range(100):
        rows = make_rows(150, RNG, rate=0.25) + make_rows(100, RNG, rate=1.0)
        kept = [row for row in rows if row.u < row.rate]
        frames = [make_frame(kept)]
        totals.append(Judged(frames, judge(frames, kept, 40)).weight.sum())
    assert np.mean(totals) == pytest.approx(250, abs=4 * np.std(totals) / 10)


def test_labels_of_all_frames_and_truths_have_one_index() -> None:
    second = make_rows(30, RNG, DAY + 1)
    frames = [FRAME, make_frame(second, DAY + 1)]
    judged = Judged(frames, truths_of(ROWS + second) | {ROWS[0].id: truth("Cape")})
    assert all(one < other for one, other in pairwise(judged.labels))
    assert "Cape" in judged.labels
    shown = {row.id: row for row in ROWS[1:] + second}
    for row in range(len(judged.label)):
        known = shown.get(judged.id(row))
        if known:
            assert judged.labels[judged.label[row]] == known.label
            assert judged.labels[judged.truth[row]] == known.truth
