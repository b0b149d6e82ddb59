"""Errors as JSON in /v1 and elsewhere; test_v2.py has those of /v2."""

import pytest
from flask.testing import FlaskClient


@pytest.mark.parametrize(
    "path", ["/nothing", "/v1", "/v1/predictions/", "/api/tasks/upload/x", "/v2x", "/..%2f..%2fetc/passwd"]
)
def test_an_unknown_path_is_404_in_json(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.get_json()["error"] == {"code": "not_found", "message": "no such path: see GET /docs"}


def test_a_wrong_method_is_405_and_the_response_names_the_allowed_ones(client: FlaskClient) -> None:
    response = client.put("/v1/predictions")
    assert (response.status_code, response.get_json()["error"]["code"]) == (405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]
    assert response.get_json()["error"]["message"].endswith("use one that the Allow header lists")
