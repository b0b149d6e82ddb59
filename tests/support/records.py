"""Predictions made for tests, and what a store or a service lists."""

from datetime import UTC, datetime, timedelta

from flask.testing import FlaskClient
from lookbook.prediction import Prediction, id_maker
from lookbook.store import Query, Store


def made_at(moment: datetime, shards: int = 1, label: str = "Bag", name: str = "bag.png") -> Prediction:
    ticks = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    id = id_maker(shards, clock=lambda: ticks)()
    return Prediction(id, name, ((label, 0.75), ("Hat", 0.125), ("Shirt", 0.0625)), "model", "1.2.3")


def walk(store: Store, limit: int, **options: object) -> list[Prediction]:
    found: list[Prediction] = []
    query = Query(limit, **options)
    while True:
        page = store.page(query)
        assert len(page.items) <= limit
        found += page.items
        if page.next is None:
            return found
        query = Query(limit, after=page.next, label=query.label, since=query.since, until=query.until)


def stored(client: FlaskClient) -> list[dict]:
    return client.get("/v1/predictions?limit=1000").json["items"]
