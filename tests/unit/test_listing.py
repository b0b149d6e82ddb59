import pytest
from flask.testing import FlaskClient

from tests.support.places import MLP
from tests.support.predictions import error_of, post_image


def test_pages_are_linked_by_cursors(client: FlaskClient) -> None:
    ids = [post_image(client).get_json()["id"] for _ in range(5)]
    first = client.get("/v1/predictions?limit=2").get_json()
    second = client.get("/v1/predictions", query_string={"limit": 2, "cursor": first["next"]}).get_json()
    third = client.get("/v1/predictions", query_string={"limit": 2, "cursor": second["next"]}).get_json()
    assert [item["id"] for page in (first, second, third) for item in page["items"]] == ids[::-1]
    assert third["next"] is None


def test_predictions_are_filtered_by_label_and_time(client: FlaskClient) -> None:
    bag = post_image(client).get_json()
    sandal = post_image(client, (MLP / "golden/fashion-5.png").read_bytes()).get_json()

    def items(query: str | dict[str, str]) -> object:
        return client.get("/v1/predictions", query_string=query).get_json()["items"]

    assert items("label=Sandal") == [sandal]
    assert items({"since": sandal["created_at"]}) == [sandal]
    assert items({"until": sandal["created_at"]}) == [bag]
    assert items("since=2020-01-01T00:00:00%2B01:00") == [sandal, bag]
    assert items("since=2999-01-01T00:00:00+01:00") == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=-1", "limit must be a whole number from 1 to 1000"),
        ("limit=0", "limit must be"),
        ("limit=1001", "limit must be"),
        ("limit=ten", "limit must be"),
        ("limit=", "limit must be"),
        ("limit=%D9%A1", "limit must be"),
        ("cursor=yesterday", "cursor must come from"),
        ("cursor=" + "0" * 40, "cursor must come from"),
        ("cursor=6ba7b810-9dad-41d1-80b4-00c04fd430c8", "cursor must come from"),
        ("since=yesterday", "since must be an RFC 3339 time"),
        ("since=2026-01-31", "since must be"),
        ("since=2026-02-30T00:00:00Z", "since must be"),
        ("until=2026-01-31T12:00:00", "until must be"),
        ("until=0001-01-01T00:00:00%2B23:59", "until must be"),
        (
            "page=2",
            "unknown query parameter 'page'; the parameters are cursor, ground_truth, label, limit, since, until",
        ),
    ],
)
def test_a_bad_query_is_refused(client: FlaskClient, query: str, message: str) -> None:
    status, code, text = error_of(client.get(f"/v1/predictions?{query}"))
    assert (status, code) == (400, "invalid_request")
    assert message in text
