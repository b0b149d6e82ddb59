import numpy as np
import pytest
from lookbook.truth.accuracy import Rows
from lookbook.truth.judged import UNCLEAR, Judged
from lookbook.truth.labels import accuracy_of, confusion, recall_of

from tests.support.samples import LABELS, in_order, judge, make_frame, make_rows, truth

TRUTH = np.array([0] * 10 + [1] * 10)
LABEL = np.array([0] * 8 + [1] * 11 + [0])
ROWS = Rows(np.full(40, 0.9), np.ones(40), np.arange(20), np.full(20, 2.0))


def test_recall_is_the_share_of_those_shown() -> None:
    recall = recall_of(0, LABEL, TRUTH, ROWS)
    assert recall is not None
    assert recall.estimate == pytest.approx(0.8)
    assert (recall.n, recall.support) == (10, 20)


def test_fewer_than_five_judgments_give_no_share() -> None:
    few = Rows(ROWS.score, ROWS.inclusion, np.arange(4), np.full(4, 10.0))
    assert accuracy_of(few, LABEL[:4], TRUTH[:4]) is None
    assert recall_of(0, LABEL[:4], TRUTH[:4], few) is None
    assert recall_of(2, LABEL, TRUTH, ROWS) is None


def test_unclear_rows_may_be_right_or_wrong() -> None:
    truth = TRUTH.copy()
    truth[[0, 19]] = UNCLEAR
    known, unsure = accuracy_of(ROWS, LABEL, TRUTH), accuracy_of(ROWS, LABEL, truth)
    assert known is not None
    assert unsure is not None
    assert unsure.interval[0] < known.interval[0]
    assert unsure.interval[1] > known.interval[1]
    recall = recall_of(0, LABEL, truth, ROWS)
    assert recall is not None
    assert recall.estimate == pytest.approx((7 / 9 + 9 / 11) / 2)


def test_the_confusion_matrix_counts_what_counts() -> None:
    rows = make_rows(150, np.random.default_rng(4))
    frames = [make_frame(rows)]
    order = in_order(frames, 60)
    known = judge(frames, rows, 60) | {order[5]: truth(None), order[6]: truth("Cape")}
    found = confusion(Judged(frames, known))
    assert found.counts.shape == (5, 5)
    assert found.counts.sum() == 59
    assert found.shares.sum() == pytest.approx(1)
    assert found.counts[found.labels.index("Cape")].sum() == 1
    assert found.counts[:, found.labels.index("Cape")].sum() == 0  # the model does not know it
    right = sum(known[id].label == row.label for id in order for row in rows if row.id == id)
    assert np.trace(found.counts) == right


def test_the_confusion_matrix_of_a_thousand_labels_has_the_most_frequent() -> None:
    rows = make_rows(600, np.random.default_rng(5))
    named = {row.id: truth(row.truth if number % 2 else f"other {number}") for number, row in enumerate(rows)}
    found = confusion(Judged([make_frame(rows)], named))
    assert len(found.labels) == 100
    assert set(LABELS) < set(found.labels)
    assert found.counts.sum() == 300 + 96
    assert found.shares.sum() == pytest.approx(396 / 600)


def test_nothing_judged_gives_an_empty_matrix() -> None:
    assert confusion(Judged([], {})).to_json() == {"labels": [], "counts": [], "shares": []}
