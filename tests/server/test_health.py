"""/livez, /readyz, and the health endpoints of /v2."""

from collections.abc import Callable

import requests
from flask.testing import FlaskClient

from tests.support.running import Service, free_port


def test_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/livez").json == {"status": "alive"}
    assert client.get("/readyz").json == {"status": "ready", "store": "up"}


def test_alive_but_not_ready_until_the_store_was_available(serve: Callable[..., Service]) -> None:
    service = serve(store="cassandra", cassandra_port=free_port())
    service.until_alive()
    response = requests.get(f"{service.url}/readyz", timeout=5)
    assert response.status_code == 503
    assert response.json()["status"] == "starting"
    assert "refused" in response.json()["store"]
    for path, body in (
        ("/v2/health/ready", {"ready": False}),
        ("/v2/models/fashion-mnist-mlp/ready", {"name": "fashion-mnist-mlp", "ready": False}),
    ):
        response = requests.get(f"{service.url}{path}", timeout=5)
        assert (response.status_code, response.json()) == (503, body)
