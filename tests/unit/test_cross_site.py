import pytest
from flask.testing import FlaskClient

from tests.support.places import BAG


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_sites_cannot_write(client: FlaskClient, site: str) -> None:
    response = client.post(
        "/v1/predictions", data=BAG.read_bytes(), content_type="image/png", headers={"Sec-Fetch-Site": site}
    )
    assert (response.status_code, response.get_json()["error"]["code"]) == (403, "cross_site")
    assert client.delete("/v1/predictions/x", headers={"Sec-Fetch-Site": site}).status_code == 403
    assert client.get("/v1/predictions", headers={"Sec-Fetch-Site": site}).get_json()["items"] == []


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200)])
def test_pages_of_other_sites_cannot_claim_reviews(client: FlaskClient, site: str, status: int) -> None:
    assert client.get("/v1/reviews", headers={"Sec-Fetch-Site": site}).status_code == status


def test_no_response_allows_other_origins(client: FlaskClient) -> None:
    response = client.get("/v1/predictions", headers={"Origin": "http://elsewhere.example"})
    assert not [name for name in response.headers.keys() if name.lower().startswith("access-control")]  # noqa: SIM118
