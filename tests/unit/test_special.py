import pytest
from lookbook.truth.special import f_survival, sign_test, t_survival, wilson
from scipy import stats

DEGREES = (1, 2, 3, 5, 12, 13, 117, 156, 1000)


@pytest.mark.parametrize("numerator", DEGREES)
@pytest.mark.parametrize("denominator", DEGREES)
def test_the_f_distribution_equals_scipy(numerator: int, denominator: int) -> None:
    for x in (0, 1e-9, 0.001, 0.1, 0.5, 0.9, 1, 1.1, 2, 5, 20, 1e3, 1e6):
        expected = stats.f.sf(x, numerator, denominator)
        assert f_survival(x, numerator, denominator) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("degrees", DEGREES)
def test_the_t_distribution_equals_scipy(degrees: int) -> None:
    for x in (-50, -3, -0.5, -1e-7, 0, 1e-7, 0.001, 0.5, 1, 3, 10, 100):
        assert t_survival(x, degrees) == pytest.approx(stats.t.sf(x, degrees), abs=1e-10)


@pytest.mark.parametrize("trials", [0, 1, 2, 5, 6, 7, 30, 31, 500, 3000])
def test_the_sign_test_equals_scipy(trials: int) -> None:
    for wins in {0, trials // 10, trials // 3, trials // 2, trials}:
        expected = stats.binomtest(wins, trials).pvalue if trials else 1
        assert sign_test(wins, trials - wins) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("trials", [1, 6, 9, 20, 49, 100])
def test_the_sign_test_rejects_at_most_five_percent_without_a_difference(trials: int) -> None:
    chances = [stats.binom.pmf(wins, trials, 0.5) for wins in range(trials + 1)]
    level = sum(chance for wins, chance in enumerate(chances) if sign_test(wins, trials - wins) < 0.05)
    assert level <= 0.05
    assert (level > 0) == (trials >= 6)  # six discordant pairs, all one way, are the fewest that suffice


@pytest.mark.parametrize(("trials", "better"), [(20, 0.8), (30, 0.75), (49, 0.7), (199, 0.6)])
def test_the_sign_test_finds_four_of_five_differences(trials: int, better: float) -> None:
    """With as many discordant pairs as docs/explanation/how-good-are-the-estimates.md says."""
    chances = [stats.binom.pmf(wins, trials, better) for wins in range(trials + 1)]
    power = sum(chance for wins, chance in enumerate(chances) if sign_test(wins, trials - wins) < 0.05)
    assert power == pytest.approx(0.8, abs=0.015)


def test_wilson_equals_scipy() -> None:
    for wins, trials in ((0, 5), (5, 5), (30, 100), (999, 1000)):
        expected = stats.binomtest(wins, trials).proportion_ci(method="wilson")
        assert wilson(wins / trials, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson(0.3, 3.7)[1] > wilson(0.3, 5)[1]
