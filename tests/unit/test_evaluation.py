import json
import time
from uuid import uuid1

import numpy as np
import pytest
from lookbook.truth.evaluation import evaluate

from tests.support.samples import DAY, LABELS, in_order, judge, make_frame, make_rows, truth, truths_of

RNG = np.random.default_rng(6)
ROWS = make_rows(300, RNG)
FRAMES = [make_frame(ROWS)]
MANY = [*make_rows(900, RNG), *make_rows(900, RNG, DAY + 1)]
MANY_FRAMES = [make_frame(MANY[:900]), make_frame(MANY[900:], DAY + 1)]


def test_nothing_is_known_before_the_first_judgment() -> None:
    found = evaluate(FRAMES, {}).to_json()
    assert found["accuracy"] == {
        "estimate": None,
        "confidence_interval": None,
        "standard_error": None,
        "n": 0,
        "effective_sample_size": None,
        "support": None,
    }
    assert found["bounds"] is found["brier_score"] is found["calibration_slope"] is None
    assert found["calibration_curve"] == []
    assert found["population_size"] == pytest.approx(300)
    assert found["estimated_accuracy"] == pytest.approx(np.mean([row.score for row in ROWS]))


def test_no_frame() -> None:
    found = evaluate([], {uuid1(): truth("Dress")}).to_json()
    assert found["estimated_accuracy"] is None
    assert found["population_size"] == found["days"] == found["judged"] == 0


def test_fewer_than_five_judgments_give_counts_alone() -> None:
    found = evaluate(FRAMES, judge(FRAMES, ROWS, 4)).to_json()
    assert found["accuracy"]["estimate"] is None
    assert found["accuracy"]["n"] == found["judged"] == 4
    assert np.sum(found["confusion_matrix"]["counts"]) == 4


def test_a_day_that_is_judged_as_a_whole_shows_the_truth() -> None:
    found = evaluate(FRAMES, truths_of(ROWS)).to_json()
    assert found["accuracy"]["estimate"] == pytest.approx(np.mean([row.truth == row.label for row in ROWS]))
    for label in LABELS:
        said, shown = ([row for row in ROWS if getattr(row, of) == label] for of in ("label", "truth"))
        hits = sum(row.truth == row.label for row in said)
        assert found["precision"][label]["estimate"] == pytest.approx(hits / len(said))
        assert found["recall"][label]["estimate"] == pytest.approx(hits / len(shown))
        assert (found["precision"][label]["n"], found["recall"][label]["n"]) == (len(said), len(shown))
    assert found["days_covered"] == found["days"] == 1
    json.dumps(found, allow_nan=False)


def test_any_number_of_labels_is_reported_as_the_most_frequent_ones() -> None:
    made_up = {row.id: truth(f"label {number:04}") for number, row in enumerate(MANY)}
    known = made_up | judge(MANY_FRAMES, MANY, 100)
    found = evaluate(MANY_FRAMES, known).to_json()
    assert len(found["precision"]) == len(found["recall"]) == 1_000
    assert set(LABELS) < found["precision"].keys()
    assert found["accuracy"]["n"] == len(MANY)


def test_unclear_widens_the_interval_and_shows_as_bounds() -> None:
    known = judge(FRAMES, ROWS, 60)
    judged = [row for row in ROWS if row.id in known]
    hard = [[row for row in judged if (row.truth == row.label) is right][:3] for right in (True, False)]
    unclear = dict.fromkeys((row.id for row in hard[0] + hard[1]), truth(None))
    clear, unsure = evaluate(FRAMES, known).to_json(), evaluate(FRAMES, known | unclear).to_json()
    assert unsure["unclear"] == 6
    assert unsure["judged"] == clear["judged"] == 60
    assert unsure["bounds"] == unsure["accuracy"]["confidence_interval"]
    assert unsure["bounds"][0] < clear["bounds"][0]
    assert unsure["bounds"][1] > clear["bounds"][1]


def test_what_is_judged_out_of_turn_waits() -> None:
    wrong = truths_of(row for row in ROWS if row.truth != row.label)
    known = judge(FRAMES, ROWS, 30)
    found, without = evaluate(FRAMES, known | wrong), evaluate(FRAMES, known)
    assert found.waiting == len(wrong.keys() - known.keys()) - (found.judged - 30)
    assert found.accuracy is not None
    assert without.accuracy is not None
    assert found.accuracy.estimate == pytest.approx(without.accuracy.estimate, abs=0.1)


def test_two_versions_of_a_rollout_day_are_apart_and_can_be_pooled() -> None:
    other = make_rows(200, RNG)
    frames = [FRAMES[0], make_frame(other)]
    known = truths_of(ROWS + other)
    first, second, both = (evaluate(part, known) for part in (frames[:1], frames[1:], frames))
    assert (first.judged, second.judged, both.judged) == (300, 200, 500)
    assert first.accuracy is not None
    assert second.accuracy is not None
    assert both.accuracy is not None
    assert both.accuracy.estimate == pytest.approx(0.6 * first.accuracy.estimate + 0.4 * second.accuracy.estimate)
    assert both.to_json()["days"] == 1


def test_each_day_has_its_counts() -> None:
    second = make_rows(50, RNG, DAY + 2, rate=0.5)
    frames = [make_frame(second, DAY + 2), make_frame([], DAY + 1), FRAMES[0]]
    found = evaluate(frames, judge(FRAMES, ROWS, 10)).to_json()
    assert found["daily"] == [
        {"day": "2026-01-01", "predictions": 300, "sampled": 300, "judged": 10},
        {"day": "2026-01-03", "predictions": 100, "sampled": 50, "judged": 0},
    ]
    assert (found["days"], found["days_covered"]) == (2, 1)


def test_frames_read_in_another_order_say_the_same() -> None:
    frames = [make_frame(make_rows(100, RNG, DAY + day), DAY + day) for day in range(3)]
    known = dict.fromkeys(in_order(frames, 80), truth("Dress"))
    one, other = evaluate(frames, known).accuracy, evaluate(frames[::-1], known).accuracy
    assert one is not None
    assert other is not None
    assert one.estimate == pytest.approx(other.estimate)
    assert one.interval == pytest.approx(other.interval)


def test_four_full_weeks_take_less_than_100_ms() -> None:
    """Of CPU, with everything in them judged."""
    rows = make_rows(1_000, RNG)
    frames = [make_frame(rows, DAY + day) for day in range(28)]
    known = truths_of(rows)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        assert evaluate(frames, known).judged == 28_000
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.1
