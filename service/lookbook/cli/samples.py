"""A sample, as `GET /v1/samples` has it, for a replay. Tests: tests/unit/test_replay_command.py."""

from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from lookbook.judgment import GroundTruth
from lookbook.replay.rerun import Stored
from lookbook.store import Input


def to_stored(sample: Mapping[str, Any]) -> Stored:
    return Stored(
        UUID(sample["id"]),
        (sample["label"], sample["score"]),
        sample["u"],
        sample["inclusion_probability"],
        _truth(sample["ground_truth"]),
    )


def to_input(sample: Mapping[str, Any]) -> Input:
    return Input(sample["input"]["kind"], b64decode(sample["input"]["content"]))


def _truth(truth: Mapping[str, Any] | None) -> GroundTruth | None:
    if truth is None:
        return None
    return GroundTruth(truth.get("label"), truth["judgments"], datetime.fromisoformat(truth["judged_at"]))
