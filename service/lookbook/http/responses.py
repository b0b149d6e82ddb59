"""What several endpoints return, as JSON. Tests: tests/unit/test_ground_truths.py."""

from datetime import datetime
from typing import Any

from lookbook.http.components import components
from lookbook.judgment import GroundTruth
from lookbook.model.metadata import JPEG, PNG, is_webp
from lookbook.prediction import Prediction
from lookbook.store import Input


def time_json(moment: datetime) -> str:
    """The time, which is in UTC."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def image_type(found: Input) -> str | None:
    """The media type of an input that is an image; None if it is not one."""
    if found.content.startswith(JPEG):
        return "image/jpeg"
    if found.content.startswith(PNG):
        return "image/png"
    return "image/webp" if is_webp(found.content) else None


def label_json(label: str | None) -> dict[str, str]:
    """A judgment; None is unclear."""
    return {"verdict": "unclear"} if label is None else {"label": label}


def truth_json(truth: GroundTruth | None) -> dict[str, Any] | None:
    if truth is None:
        return None
    return {**label_json(truth.label), "judgments": truth.judgments, "judged_at": time_json(truth.judged_at)}


def prediction_json(prediction: Prediction, truth: GroundTruth | None) -> dict[str, Any]:
    """The prediction, with the name of its job if a batch job made it."""
    job = components().jobs.name(prediction.id)
    return {**prediction.to_json(), "ground_truth": truth_json(truth), **({"job": job} if job else {})}
