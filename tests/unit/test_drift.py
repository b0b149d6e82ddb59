import json
from collections.abc import Mapping

import numpy as np
import pytest
from lookbook.truth.drift import REFERENCE_CHUNKS, detect, make_chunks, mean_p, shift_p
from lookbook.truth.frame import Scores
from scipy import stats

LABELS = ("Coat", "Dress", "Shirt", "Trouser")
SHARES = np.array([0.2, 0.4, 0.3, 0.1])
DAY = 20_454  # 2026-01-01


def scores(
    rows: int, rng: np.random.Generator, shares: np.ndarray = SHARES, mean: float = 0.85, rate: float = 1.0
) -> Scores:
    label = rng.choice(4, rows, p=shares).astype(np.uint16)
    return Scores(LABELS, label, rng.beta(10 * mean, 10 * (1 - mean), rows), np.full(rows, rate))


def days(count: int, rows: int, rng: np.random.Generator, first: int = DAY) -> dict[int, Scores]:
    return {first + day: scores(rows, rng) for day in range(count)}


def test_the_first_chunks_are_learned() -> None:
    rng = np.random.default_rng(8)
    for count in (0, 1, 13):
        drift = detect(days(count, 200, rng))
        assert drift.status == "learning"
        found = drift.to_json()
        assert found["reference"]["chunks"] == count
        assert found["p_values"] is found["estimated_accuracy"] is None
    assert detect(days(14, 200, rng)).status == "stable"


def test_a_chunk_is_whole_days_with_a_hundred_rows() -> None:
    rng = np.random.default_rng(9)
    chunks = make_chunks(days(26, 10, rng) | {DAY + 40: scores(300, rng)})
    assert [(chunk.since - DAY, chunk.until - DAY) for chunk in chunks] == [(0, 9), (10, 19), (20, 40)]
    assert chunks[0].rows == pytest.approx(100)
    assert sum(chunks[0].labels.values()) == pytest.approx(1)


def test_the_same_traffic_is_stable() -> None:
    drift = detect(days(14 + 30, 300, np.random.default_rng(10)))
    assert drift.status == "stable"
    assert len(drift.steps) == 30
    assert min(step.p_labels for step in drift.steps) > 0.001


@pytest.mark.parametrize("rows", [100, 300, 1000])
def test_more_of_one_label_is_an_alarm(rows: int) -> None:
    rng = np.random.default_rng(11)
    later = {DAY + 20 + day: scores(rows, rng, np.array([0.05, 0.7, 0.2, 0.05])) for day in range(4)}
    found = detect(days(20, rows, rng) | later).to_json()
    assert found["status"] == "alarm"
    assert found["alarm_since"] >= "2026-01-21"
    assert found["p_values"]["labels"] < 0.001
    assert found["total_variation"] == pytest.approx(0.3, abs=0.13)
    json.dumps(found, allow_nan=False)


def test_lower_scores_are_an_alarm() -> None:
    rng = np.random.default_rng(12)
    later = {DAY + 20 + day: scores(300, rng, mean=0.75) for day in range(3)}
    drift = detect(days(20, 300, rng) | later)
    assert drift.status == "alarm"
    assert drift.steps[-1].change == pytest.approx(-0.1, abs=0.02)


def test_an_alarm_lasts_until_a_new_reference() -> None:
    rng = np.random.default_rng(13)
    odd = {DAY + 20 + day: scores(300, rng, np.array([0.7, 0.1, 0.1, 0.1])) for day in range(2)}
    after = days(20, 300, rng, DAY + 22)
    assert detect(days(20, 300, rng) | odd | after).status == "alarm"
    assert detect(after).status == "stable"


def test_a_change_too_small_to_matter_is_no_alarm() -> None:
    rng = np.random.default_rng(14)
    later = {DAY + 20 + day: scores(5000, rng, SHARES + np.array([0.03, -0.03, 0, 0])) for day in range(20)}
    drift = detect(days(20, 5000, rng) | later)
    assert drift.steps[-1].evidence > 1000
    assert drift.status == "stable"


def test_a_new_label_is_an_alarm_and_a_single_row_of_it_is_none() -> None:
    rng = np.random.default_rng(15)
    usual = days(20, 300, rng)

    def with_new(count: int) -> Mapping[int, Scores]:
        day = scores(300, rng)
        label = day.label.copy()
        label[:count] = 4
        return usual | {DAY + 20: Scores((*LABELS, "Hat"), label, day.score, day.inclusion)}

    assert detect(with_new(1)).status == "stable"
    assert detect(with_new(100)).status == "alarm"


def test_weights_decide_the_shares() -> None:
    """A worker that samples a tenth says as much about its traffic as one that samples everything."""
    rng = np.random.default_rng(16)
    label = np.r_[np.zeros(100), np.ones(100)].astype(np.uint16)
    mixed = Scores(("Coat", "Dress"), label, rng.random(200), np.r_[np.full(100, 0.1), np.ones(100)])
    (chunk,) = make_chunks({DAY: mixed})
    assert chunk.labels == pytest.approx({"Coat": 10 / 11, "Dress": 1 / 11})
    assert chunk.rows == pytest.approx(1100**2 / (100 * 100 + 100))


def test_rates_alone_change_nothing() -> None:
    rng = np.random.default_rng(17)
    later = {DAY + 20 + day: scores(300, rng, rate=0.05) for day in range(10)}
    assert detect(days(20, 300, rng) | later).status == "stable"


def test_a_change_that_nobody_acknowledges_stays_valid_json() -> None:
    rng = np.random.default_rng(17)
    other = {DAY + 14 + day: scores(1000, rng, SHARES[::-1], 0.3) for day in range(60)}
    found = detect(days(14, 1000, rng) | other).to_json()
    assert found["status"] == "alarm"
    json.dumps(found, allow_nan=False)


def test_long_histories_are_bounded() -> None:
    drift = detect(days(120, 100, np.random.default_rng(18)))
    assert len(drift.steps) == 60
    assert drift.reference[-1].until == DAY + REFERENCE_CHUNKS - 1


def test_the_shift_of_counts_equals_chi_square_without_dispersion() -> None:
    past, now = np.tile(SHARES * 5_000, (200, 1)), np.array([1080.0, 1970, 1480, 470])
    expected = stats.chi2.sf(((now - SHARES * 5_000) ** 2 / (SHARES * 5_000)).sum() / (1 + 1 / 200), 3)
    assert shift_p(past, now) == pytest.approx(expected, rel=0.05)


def test_chunks_that_differ_much_among_themselves_make_a_shift_less_surprising() -> None:
    rng = np.random.default_rng(19)
    now = np.array([40.0, 150, 80, 30])
    calm = rng.multinomial(300, SHARES, 14).astype(float)
    clustered = 8 * rng.multinomial(38, SHARES, 14).astype(float)  # senders with eight images of one kind
    assert shift_p(calm, now) < 0.05 < shift_p(clustered, now)


def test_p_values_of_the_same_traffic_are_uniform() -> None:
    rng = np.random.default_rng(20)
    draws = [rng.multinomial(300, SHARES, 15).astype(float) for _ in range(400)]
    ps = [shift_p(counts[:14], counts[14]) for counts in draws]
    assert np.mean(np.array(ps) < 0.05) == pytest.approx(0.05, abs=0.03)
    means = [rng.normal(size=15) for _ in range(400)]
    ps = [mean_p(values[:14], values[14]) for values in means]
    assert np.mean(np.array(ps) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_one_label_and_one_score() -> None:
    same = Scores(("Dress",), np.zeros(100, np.uint16), np.ones(100), np.ones(100))
    drift = detect({DAY + day: same for day in range(20)})
    assert drift.status == "stable"
    assert drift.steps[-1].p_labels == drift.steps[-1].p_scores == drift.steps[-1].p_accuracy == 1
