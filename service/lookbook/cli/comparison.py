"""What a replay found, as an object to print and to store. Tests: tests/unit/test_replay_command.py."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar
from uuid import UUID

from lookbook.errors import LookbookError
from lookbook.judgment import GroundTruth
from lookbook.truth.flips import Pair
from lookbook.truth.replay import Replay, is_faithful

_MAX_UNFAITHFUL = 0.01  # share of the inputs; on another processor, a label with a close second may change
_MAX_FLIPS = 2_000  # that a server accepts
_MAX_PAIRS = 200  # of labels, in a report

Answer = tuple[str, float]  # label and score


@dataclass(frozen=True, slots=True)
class Rerun:
    """A prediction as the server has it, with these members, and what both models say about its input now."""

    MEMBERS: ClassVar = ("id", "created_at", "inclusion_probability", "u", "label", "score", "ground_truth")

    sample: Mapping[str, Any]
    baseline: Answer
    candidate: Answer
    preview: bytes = b""  # WebP, if the candidate's label is another one
    is_too_small: bool = False  # the candidate takes a larger image

    @property
    def id(self) -> UUID:
        return UUID(self.sample["id"])

    @property
    def day(self) -> str:
        return str(self.sample["created_at"])[:10]

    @property
    def stored(self) -> Answer:
        return self.sample["label"], self.sample["score"]

    @property
    def truth(self) -> GroundTruth | None:
        truth = self.sample["ground_truth"]
        if truth is None:
            return None
        return GroundTruth(truth.get("label"), truth["judgments"], datetime.fromisoformat(truth["judged_at"]))


class Comparison:
    """A comparison of two models, each named as name/version."""

    def __init__(self, baseline: str, candidate: str, reruns: Sequence[Rerun], limits: Mapping[str, float]) -> None:
        """`limits` has, for each day whose samples were not all read, the `u` of the first that was not.

        Raises LookbookError if the inputs are not what the stored model has seen.
        """
        self.baseline, self.candidate = baseline, candidate
        unfaithful = [rerun for rerun in reruns if not is_faithful(rerun.stored, rerun.baseline)]
        if len(unfaithful) > _MAX_UNFAITHFUL * len(reruns):
            raise LookbookError(_complaint(unfaithful, len(reruns)))
        self.unfaithful = len(unfaithful)
        self.reruns = [rerun for rerun in reruns if is_faithful(rerun.stored, rerun.baseline)]
        self.replay = Replay(
            [_pair(rerun, limits.get(rerun.day, 1.0)) for rerun in self.reruns],
            {rerun.id: rerun.truth for rerun in self.reruns if rerun.truth},
        )

    @cached_property
    def flips(self) -> list[Rerun]:
        """The flips, in the order of review."""
        by_id = {rerun.id: rerun for rerun in self.reruns}
        return [by_id[pair.id] for pair in self.replay.flips.flips]

    def report(self, without_input: int, all_inputs: bool) -> dict[str, Any]:
        days = [rerun.day for rerun in self.reruns]
        found, test = self.replay.to_json(), self.replay.flips.test
        return {
            "baseline": self.baseline,
            "candidate": self.candidate,
            "since": min(days),
            "until": max(days),
            "all_inputs": all_inputs,
            "without_input": without_input,
            "unfaithful": self.unfaithful,
            "too_small": sum(rerun.is_too_small for rerun in self.reruns),
            "largest_score_difference": max(abs(rerun.stored[1] - rerun.baseline[1]) for rerun in self.reruns),
            "better": test.is_significant and test.favor > 0,
            **found,
            "flips": found["flips"][:_MAX_PAIRS],
        }

    def to_store(self, report: Mapping[str, Any]) -> dict[str, Any]:
        """The body of `POST /v1/comparisons`."""
        flips = [
            {
                "prediction": flip.sample["id"],
                "baseline_label": flip.stored[0],
                "candidate_label": flip.candidate[0],
                "candidate_score": flip.candidate[1],
            }
            for flip in self.flips[:_MAX_FLIPS]
        ]
        return {"baseline": self.baseline, "candidate": self.candidate, "report": report, "flips": flips}


def _pair(rerun: Rerun, limit: float) -> Pair:
    inclusion = min(rerun.sample["inclusion_probability"], limit)
    return Pair(rerun.id, rerun.sample["u"], inclusion, rerun.stored[0], rerun.candidate[0])


def _complaint(unfaithful: Sequence[Rerun], count: int) -> str:
    first = unfaithful[0]
    stored, now = (f"{label} {score:.3f}" for label, score in (first.stored, first.baseline))
    return (
        f"cannot compare the models: for {len(unfaithful):,} of {count:,} stored inputs, the baseline does not repeat "
        f"its stored prediction (for {first.id} it was {stored}, now it is {now}); check that --baseline-bundle is the "
        "bundle that made the predictions"
    )


def lines(report: Mapping[str, Any]) -> Iterable[str]:
    """The report for people."""
    test, difference = report["mcnemar"], report["accuracy_difference"]
    yield f"baseline     {report['baseline']}"
    yield f"candidate    {report['candidate']}"
    yield f"predictions  {report['pairs']:,}, {report['since']} to {report['until']}"
    yield f"inputs       the baseline repeats its stored scores within {report['largest_score_difference']:.6f}"
    yield f"agreement    {_share(report['agreement'])}"
    yield f"flips        {report['flips_to_judge']:,}, {report['judged']:,} of them judged in the order of review"
    for pair in report["flips"][:10]:
        yield f"             {pair['count']:6,}  {pair['baseline']} -> {pair['candidate']}"
    if len(report["flips"]) > 10:
        yield f"             and {len(report['flips']) - 10} more pairs of labels"
    if difference:
        low, high = difference["confidence_interval"]
        yield f"accuracy     {100 * difference['estimate']:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
    yield (
        f"right alone  candidate {test['candidate_only']:,}, baseline {test['baseline_only']:,} "
        f"(exact test: p = {test['p_value']:.3g})"
    )
    yield f"result       {verdict(report)}"


def verdict(report: Mapping[str, Any]) -> str:
    if report["worse"]:
        return "the candidate is significantly worse"
    if report["better"]:
        return "the candidate is significantly better"
    if report["judged"] < report["flips_to_judge"]:
        return "no significant difference so far; judge more flips, and run this again"
    return "no significant difference"


def _share(share: Mapping[str, Any]) -> str:
    low, high = share["confidence_interval"]
    return f"{share['estimate']:.1%} ({low:.1%} to {high:.1%})"
