import numpy as np
from lookbook.truth.reviews import Reviews

from tests.support.samples import DAY, in_order, judge, make_frame, make_rows, truth

RNG = np.random.default_rng(7)
ROWS = [make_rows(80, RNG, DAY + day) for day in range(3)]
FRAMES = [make_frame(rows, DAY + day) for day, rows in enumerate(ROWS)]
ALL = [row for rows in ROWS for row in rows]


def test_the_smallest_keys_of_all_days_come_first() -> None:
    reviews = Reviews(FRAMES, {})
    assert reviews.remaining == 240
    assert reviews.by_priority(1000) == in_order(FRAMES, 240)
    assert reviews.by_priority(5) == in_order(FRAMES, 5)
    assert reviews.blocked_by is None


def test_what_is_judged_is_not_served_again() -> None:
    order = in_order(FRAMES, 240)
    reviews = Reviews(FRAMES, judge(FRAMES, ALL, 12) | {order[30]: truth(None)})
    assert reviews.by_priority(3) == order[12:15]
    assert reviews.remaining == 227
    assert order[30] not in reviews.by_priority(1000)


def test_a_skipped_prediction_blocks_its_day() -> None:
    order = in_order(FRAMES, 60)
    known = judge(FRAMES, ALL, 60)
    del known[order[4]]
    reviews = Reviews(FRAMES, known)
    day = next(frame for frame in FRAMES if order[4].bytes in frame.ids.tolist())
    later = [id for id in order[5:] if id.bytes in day.ids.tolist()]
    assert reviews.blocked_by == order[4] == reviews.by_priority(1)[0]
    assert reviews.waiting == len(later)
    assert Reviews(FRAMES, known | {order[4]: truth(None)}).blocked_by is None


def test_the_least_certain_come_first_on_request() -> None:
    score = {row.id: row.score for row in ALL}
    scores = [score[id] for id in Reviews(FRAMES, {}).by_score(50)]
    assert scores == sorted(score.values())[:50]


def test_nothing_is_left_to_review() -> None:
    for frames, known in (([], {}), (FRAMES, judge(FRAMES, ALL, 240))):
        reviews = Reviews(frames, known)
        assert reviews.remaining == reviews.waiting == 0
        assert reviews.by_priority(5) == reviews.by_score(5) == []
        assert reviews.blocked_by is None
