"""Requests to the service on the cluster."""

from pathlib import Path

import requests

from tests.support.cluster import URL
from tests.support.places import PHOTOS


def classify(path: Path = PHOTOS / "shirt.jpg") -> str:
    """The label that the service gives the image."""
    with path.open("rb") as image:
        response = requests.post(f"{URL}/api/tasks/upload", files={"image": image}, timeout=10)
    assert response.status_code == 200, response.text
    return response.text


def ids() -> set[str]:
    """The ids of the newest thousand predictions."""
    response = requests.get(f"{URL}/v1/predictions", {"limit": 1000}, timeout=10)
    return {item["id"] for item in response.json()["items"]}
