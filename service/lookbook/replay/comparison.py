"""What a replay found, as an object to print and to store. Tests: tests/unit/test_replay_command.py."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any
from uuid import UUID

from lookbook.errors import LookbookError
from lookbook.judgment import GroundTruth
from lookbook.prediction import sort_key
from lookbook.replay.rerun import Rerun
from lookbook.store import Flip
from lookbook.truth.replay import Replay, Sums, is_faithful

_MAX_UNFAITHFUL = 0.01  # share of the inputs; on another processor, a label with a close second may change
_MOST_STORED = 2_000  # flips, that a server accepts
_MAX_PAIRS = 200  # of labels, in a report


class Comparison:
    """A comparison of two models, each named as name/version; those of different inputs can be merged.

    It keeps at most `most_flips` flips, the first in the order of review.
    """

    def __init__(self, baseline: str, candidate: str, most_flips: int | None = None) -> None:
        self.baseline, self.candidate, self._most_flips = baseline, candidate, most_flips
        self.without_input = self.unfaithful = self.too_small = 0
        self._largest_difference = 0.0
        self._days: set[str] = set()
        self._sums = Sums()
        self._flips: list[Rerun] = []
        self._unfaithful: Rerun | None = None  # the newest

    def add(self, rerun: Rerun) -> None:
        if not is_faithful(rerun.stored.answer, rerun.baseline):
            self.unfaithful += 1
            self._unfaithful = _newest(self._unfaithful, rerun)
            return
        self.too_small += rerun.is_too_small
        self._largest_difference = max(self._largest_difference, abs(rerun.stored.answer[1] - rerun.baseline[1]))
        self._days.add(rerun.day)
        pair = rerun.pair
        self._sums.add(pair)
        if pair.is_flip:
            self._keep([rerun])

    def merge(self, other: "Comparison") -> "Comparison":
        """This comparison, with what the other one found."""
        self.without_input += other.without_input
        self.unfaithful += other.unfaithful
        self.too_small += other.too_small
        self._largest_difference = max(self._largest_difference, other._largest_difference)
        self._days |= other._days
        self._sums.merge(other._sums)
        self._keep(other._flips)
        if other._unfaithful:
            self._unfaithful = _newest(self._unfaithful, other._unfaithful)
        return self

    @property
    def inputs(self) -> int:
        return self._sums.pairs + self.unfaithful

    @cached_property
    def flips(self) -> list[Rerun]:
        """The flips, in the order of review."""
        return sorted(self._flips, key=_turn)[: self._most_flips]

    def look_up(self, truths: Callable[[Sequence[UUID]], Mapping[UUID, GroundTruth]]) -> None:
        """Give the flips their ground truths; call this after all inputs have been added."""
        found = truths([flip.id for flip in self.flips])
        self.flips = [replace(flip, stored=replace(flip.stored, truth=found.get(flip.id))) for flip in self.flips]

    def report(self, all_inputs: bool) -> dict[str, Any]:
        """Raises LookbookError if the inputs are not what the stored model has seen."""
        self._check()
        replay = self._replay()
        found, test = replay.to_json(), replay.flips.test
        return {
            "baseline": self.baseline,
            "candidate": self.candidate,
            "since": min(self._days),
            "until": max(self._days),
            "all_inputs": all_inputs,
            "without_input": self.without_input,
            "unfaithful": self.unfaithful,
            "too_small": self.too_small,
            "largest_score_difference": self._largest_difference,
            "better": test.is_significant and test.favor > 0,
            **found,
            "flips": found["flips"][:_MAX_PAIRS],
        }

    def to_store(self) -> list[Flip]:
        """The flips of a stored comparison."""
        return [
            Flip(flip.id, flip.stored.answer[0], flip.candidate[0], flip.candidate[1])
            for flip in self.flips[:_MOST_STORED]
        ]

    def _replay(self) -> Replay:
        flips = self.flips
        # The last one of flips that were cut off only says how far the others reach.
        judged = flips if len(flips) == self._sums.flip_count else flips[:-1]
        truths = {flip.id: flip.stored.truth for flip in judged if flip.stored.truth}
        return Replay(self._sums, [flip.pair for flip in flips], truths)

    def _check(self) -> None:
        one = self._unfaithful
        if one is None or self.unfaithful <= _MAX_UNFAITHFUL * self.inputs:
            return
        stored, now = (f"{label} {score:.3f}" for label, score in (one.stored.answer, one.baseline))
        raise LookbookError(
            f"cannot compare the models: for {self.unfaithful:,} of {self.inputs:,} stored inputs, the baseline does "
            f"not repeat its stored prediction (for {one.id} it was {stored}, now it is {now}); check that "
            "--baseline-bundle is the bundle that made the predictions"
        )

    def _keep(self, flips: Iterable[Rerun]) -> None:
        self._flips += flips
        if self._most_flips is not None and len(self._flips) > 2 * self._most_flips:
            self._flips = sorted(self._flips, key=_turn)[: self._most_flips]


def _turn(flip: Rerun) -> tuple[float, bytes]:
    """Where the flip comes in the order of review."""
    return flip.stored.u, flip.id.bytes


def _newest(one: Rerun | None, other: Rerun) -> Rerun:
    return other if one is None else max(one, other, key=lambda rerun: sort_key(rerun.id))
