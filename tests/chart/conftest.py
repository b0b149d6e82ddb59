"""Each set of values that a test of the chart renders: the defaults and the examples in ci/; and an API server."""

from collections.abc import Iterator

import pytest

from tests.support.api_server import ApiServer, api_server
from tests.support.chart import tool
from tests.support.places import CHART

CASES = [None, *sorted(CHART.glob("ci/*-values.yaml"))]


@pytest.fixture(params=CASES, ids=lambda case: case.stem if case else "defaults")
def values(request: pytest.FixtureRequest) -> list[object]:
    """Arguments of Helm."""
    return ["--values", request.param] if request.param else []


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    tool("helm")
    with api_server(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def namespace(server: ApiServer, request: pytest.FixtureRequest) -> str:
    name = f"test-{abs(hash(request.node.nodeid))}"
    server.run("kubectl", "create", "namespace", name)
    return name
