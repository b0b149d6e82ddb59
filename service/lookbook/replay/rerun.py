"""A stored input, given to two models. Tests: tests/unit/test_replay_command.py."""

from dataclasses import dataclass, replace
from uuid import UUID

from lookbook.judgment import GroundTruth
from lookbook.model.inference import Classifier
from lookbook.prediction import created_at
from lookbook.replay.inputs import StoredInput
from lookbook.store import Input
from lookbook.truth.flips import Pair

Answer = tuple[str, float]  # label and score


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored prediction, with the random number of its id and the probability with which it came into the frame."""

    id: UUID
    answer: Answer
    u: float
    inclusion: float = 1.0
    truth: GroundTruth | None = None


@dataclass(frozen=True, slots=True)
class Rerun:
    """A stored prediction, and what both models say about its input now."""

    stored: Stored
    baseline: Answer
    candidate: Answer
    preview: bytes = b""  # WebP, of a flip
    is_too_small: bool = False  # the candidate takes a larger image

    @property
    def id(self) -> UUID:
        return self.stored.id

    @property
    def day(self) -> str:
        return created_at(self.id).date().isoformat()

    def with_limit(self, u: float) -> "Rerun":
        """The same, if predictions were left out from this random number on."""
        return replace(self, stored=replace(self.stored, inclusion=min(self.stored.inclusion, u)))

    @property
    def pair(self) -> Pair:
        stored = self.stored
        return Pair(stored.id, stored.u, stored.inclusion, stored.answer[0], self.candidate[0])


class Models:
    """The model that made the predictions, and the candidate."""

    def __init__(self, baseline: Classifier, candidate: Classifier, max_pixels: int) -> None:
        self._baseline, self._candidate, self._max_pixels = baseline, candidate, max_pixels

    def rerun(self, stored: Stored, input: Input, with_preview: bool = False) -> Rerun:
        """`with_preview` adds one if the labels differ."""
        found = StoredInput(input, self._baseline.bundle.input, self._max_pixels)
        before, after = (
            model.top(model.classify(found.array(model.bundle.input)))[0] for model in (self._baseline, self._candidate)
        )
        preview = found.preview() if with_preview and before[0] != after[0] else b""
        return Rerun(stored, before, after, preview, found.is_smaller_than(self._candidate.bundle.input))
