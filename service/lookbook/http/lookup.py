"""Predictions by the id in a URL. Tests: tests/unit/test_v1.py."""

from uuid import UUID

from lookbook.errors import NotFound
from lookbook.http.components import components
from lookbook.prediction import Prediction


def read_id(text: str) -> UUID | None:
    """The id that `text` spells; None if it cannot be the id of a prediction."""
    try:
        id = UUID(text)
    except ValueError:
        return None
    return id if id.version == 1 and str(id) == text.lower() else None


def find_prediction(text: str) -> Prediction:
    """The stored prediction with that id; raises NotFound."""
    id = read_id(text)
    prediction = components().store.get(id) if id else None
    if prediction is None:
        raise unknown_prediction(text)
    return prediction


def unknown_prediction(text: str) -> NotFound:
    return NotFound(f"prediction {text} not found: it may have been deleted, or have expired")
