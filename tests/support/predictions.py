"""Predictions made for tests, and what a store or a service lists."""

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

from flask.testing import FlaskClient
from lookbook.prediction import Prediction, id_maker, sort_key
from lookbook.store import Entry, Query, Store
from werkzeug.test import TestResponse

from tests.support.places import BAG

_LABELS = ("Bag", "Coat", "Dress")


def made_at(moment: datetime, shards: int = 1, label: str = "Bag", name: str = "bag.png") -> Prediction:
    ticks = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    id = id_maker(shards, clock=lambda: ticks)()
    return Prediction(id, name, ((label, 0.75), ("Hat", 0.125), ("Shirt", 0.0625)), "model", "1.2.3")


def fill(store: Store, moments: Sequence[datetime], shards: int = 1) -> list[Prediction]:
    """Store a prediction for each moment, out of order; returns them newest first."""
    predictions = [made_at(moment, shards, _LABELS[i % 3]) for i, moment in enumerate(moments)]
    for prediction in predictions[::2] + predictions[1::2]:
        store.put(Entry(prediction))
    return sorted(predictions, key=lambda prediction: sort_key(prediction.id), reverse=True)


def walk(store: Store, limit: int, **options: Any) -> list[Prediction]:
    """Every prediction of the store, read page by page."""
    found: list[Prediction] = []
    query = Query(limit, **options)
    while True:
        page = store.page(query)
        assert len(page.items) <= limit
        found += page.items
        if page.next is None:
            return found
        query = replace(query, after=page.next)


def location(response: TestResponse) -> str:
    """The path that the response's Location names."""
    return urljoin(response.request.path, response.headers["Location"])


def stored(client: FlaskClient) -> list[dict[str, Any]]:
    """The predictions that the service lists, newest first."""
    items: list[dict[str, Any]] = client.get("/v1/predictions?limit=1000").get_json()["items"]
    return items


def post_image(
    client: FlaskClient, data: bytes = b"", name: str = "bag.png", key: str | None = None, path: str = "/v1/predictions"
) -> TestResponse:
    """Upload an image as a form, with an Idempotency-Key if there is one."""
    form = {"image": (io.BytesIO(data or BAG.read_bytes()), name)}
    return client.post(path, data=form, headers={"Idempotency-Key": key} if key is not None else {})


def error_of(response: TestResponse) -> tuple[int, str, str]:
    """Status, code, and message of an error."""
    error = response.get_json()["error"]
    return response.status_code, error["code"], error["message"]
