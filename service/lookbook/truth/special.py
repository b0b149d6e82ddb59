"""Tails of distributions. scipy has them, but is four times as large as the rest of the container image."""

from math import exp, lgamma, log, sqrt

Z = 1.959963984540054  # two-sided 95%


def f_survival(x: float, numerator: float, denominator: float) -> float:
    """P(F > x) of the F distribution with these degrees of freedom."""
    if x <= 0:
        return 1.0
    total = denominator + numerator * x
    return _beta(denominator / 2, numerator / 2, denominator / total, numerator * x / total)


def t_survival(x: float, degrees: float) -> float:
    """P(T > x) of Student's t distribution."""
    total = degrees + x * x
    tail = _beta(degrees / 2, 0.5, degrees / total, x * x / total) / 2
    return tail if x >= 0 else 1 - tail


def sign_test(wins: int, losses: int) -> float:
    """The two-sided p-value of the exact sign test, which is McNemar's exact test of discordant pairs."""
    trials, term, tail = wins + losses, 1, 0
    for successes in range(min(wins, losses) + 1):
        tail += term
        term = term * (trials - successes) // (successes + 1)
    return min(1.0, 2 * tail / (1 << trials))


def wilson(share: float, size: float) -> tuple[float, float]:
    """Wilson's 95% interval of a share from 0 to 1 that was found in `size` rows, which may be a fraction."""
    center = share + Z * Z / (2 * size)
    half = Z * sqrt(share * (1 - share) / size + (Z / (2 * size)) ** 2)
    scale = 1 + Z * Z / size
    return max(0.0, (center - half) / scale), min(1.0, (center + half) / scale)


def _beta(a: float, b: float, x: float, y: float) -> float:
    """The regularized incomplete beta function at x, where y is 1 - x without loss of digits."""
    if x <= 0 or y <= 0:
        return float(y <= 0)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly
        return 1 - _beta(b, a, y, x)
    return exp(a * log(x) + b * log(y) + lgamma(a + b) - lgamma(a) - lgamma(b)) / (a * _fraction(a, b, x))


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, 8.17.22 in NIST's DLMF, by Lentz's method."""
    value, c, d, n, change = 1.0, 1.0, 0.0, 0, 0.0
    while abs(change - 1) > 1e-15 and n < 10_000:
        m, odd = divmod(n + 1, 2)
        top = -(a + m) * (a + b + m) if odd else m * (b - m)
        term = top * x / ((a + n) * (a + n + 1))
        d = 1 / _nonzero(1 + term * d)
        c = _nonzero(1 + term / c)
        change = c * d
        value *= change
        n += 1
    return value


def _nonzero(number: float) -> float:
    return number if abs(number) > 1e-300 else 1e-300
