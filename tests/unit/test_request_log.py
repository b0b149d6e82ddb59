import logging

import pytest
from flask.testing import FlaskClient


def test_a_request_id_is_returned_or_made(client: FlaskClient) -> None:
    assert client.get("/livez", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    made = client.get("/livez", headers={"X-Request-Id": "with space"}).headers["X-Request-Id"]
    assert len(made) == 16
    assert made != client.get("/livez").headers["X-Request-Id"]


def test_a_request_is_one_line_with_its_error(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client.get("/v1/predictions/x", headers={"X-Request-Id": "abc-1"})
    (record,) = caplog.records
    found = vars(record)
    assert (record.name, record.message) == ("lookbook.requests", "request")
    assert (found["request_id"], found["method"], found["path"]) == ("abc-1", "GET", "/v1/predictions/x")
    assert (found["status"], found["error"]) == (404, "not_found")
    assert found["reason"].startswith("prediction x not found: ")
    assert 0 < found["ms"] < 10_000


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/openapi.json", "/", "/v2/health/live"])
def test_requests_to_public_endpoints_are_not_logged(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    caplog.set_level(logging.INFO)
    assert client.get(path).status_code == 200
    assert caplog.records == []
