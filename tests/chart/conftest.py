"""Each set of values that a test of the chart renders: the defaults and the examples in ci/."""

import pytest

from tests.support.places import CHART

CASES = [None, *sorted(CHART.glob("ci/*-values.yaml"))]


@pytest.fixture(params=CASES, ids=lambda case: case.stem if case else "defaults")
def values(request: pytest.FixtureRequest) -> list[object]:
    """Arguments of Helm."""
    return ["--values", request.param] if request.param else []
