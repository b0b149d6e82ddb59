import numpy as np
import pytest
from lookbook.truth.frame import FRAME_ROWS, build_frame, decode, decode_scores, encode, size_of

from tests.support.samples import DAY, make_rows

RNG = np.random.default_rng(1)


def test_a_small_day_is_whole() -> None:
    rows = make_rows(300, RNG, rate=0.5)
    frame = build_frame(DAY, rows)
    assert len(frame) == 300
    assert frame.limit == 1
    assert not frame.is_cut_off
    assert (frame.scores.inclusion == 0.5).all()
    assert {frame.id(row) for row in range(300)} == {row.id for row in rows}
    assert (np.diff(frame.u) > 0).all()


def test_a_large_day_keeps_the_smallest_u() -> None:
    rows = sorted(make_rows(FRAME_ROWS + 200, RNG), key=lambda row: row.u)
    frame = build_frame(DAY, rows)
    assert len(frame) == FRAME_ROWS
    assert frame.is_cut_off
    assert frame.limit == rows[FRAME_ROWS].u
    assert (frame.scores.inclusion == frame.limit).all()
    assert [frame.id(row) for row in range(FRAME_ROWS)] == [row.id for row in rows[:FRAME_ROWS]]
    assert build_frame(DAY, rows[: FRAME_ROWS + 1]).limit == frame.limit  # no more rows need to be read


def test_the_merge_of_shards_does_not_depend_on_their_order() -> None:
    rows = make_rows(FRAME_ROWS + 200, RNG)
    shards = [sorted(rows[number::4], key=lambda row: row.u) for number in range(4)]
    ahead = [row for shard in shards for row in shard]
    back = [row for shard in reversed(shards) for row in shard]
    assert encode(build_frame(DAY, ahead)) == encode(build_frame(DAY, back)) == encode(build_frame(DAY, rows))


def test_rates_of_several_workers_are_kept_apart() -> None:
    quick, slow = make_rows(50, RNG, rate=0.1), make_rows(50, RNG, rate=1.0)
    frame = build_frame(DAY, quick + slow)
    rate = {row.id: row.rate for row in quick + slow}
    assert frame.scores.inclusion.tolist() == [rate[frame.id(row)] for row in range(100)]
    assert frame.scores.weight.sum() == pytest.approx(50 * 10 + 50)


@pytest.mark.parametrize("count", [0, 1, 999, 1200])
def test_a_stored_frame_is_read_exactly(count: int) -> None:
    frame = build_frame(DAY, make_rows(count, RNG, rate=1 / 3))
    scores, ids = encode(frame)
    again = decode(DAY, scores, ids)
    assert encode(again) == (scores, ids)
    assert (again.day, again.limit, again.scores.labels) == (frame.day, frame.limit, frame.scores.labels)
    for one, other in ((again.u, frame.u), (again.ids, frame.ids), (again.key, frame.key)):
        assert one.tolist() == other.tolist()
    for name in ("label", "score", "inclusion"):
        assert getattr(decode_scores(scores), name).tolist() == getattr(frame.scores, name).tolist()
    assert len(scores) + len(ids) < 45 * min(count, FRAME_ROWS) + 200


def test_a_frame_of_another_version_is_not_read() -> None:
    scores, ids = encode(build_frame(DAY, make_rows(3, RNG)))
    with pytest.raises(ValueError, match="format 9"):
        decode_scores(b"\x09" + scores[1:])
    with pytest.raises(ValueError, match="format 9"):
        decode(DAY, scores, b"\x09" + ids[1:])


def test_unsure_rows_come_earlier() -> None:
    assert size_of(np.array([0.0, 0.5, 0.8, 0.875, 1.0])).tolist() == pytest.approx([1, 1, 0.4, 0.25, 0.25])
