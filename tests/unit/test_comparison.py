"""Comparisons of parts, merged."""

import pickle
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from lookbook.errors import LookbookError
from lookbook.judgment import GroundTruth
from lookbook.prediction import id_maker, permanent_random
from lookbook.replay.comparison import Comparison
from lookbook.replay.rerun import Rerun, Stored

RNG = np.random.default_rng(26)
LABELS = ("Bag", "Coat", "Dress")
START = datetime(2026, 11, 1, tzinfo=UTC)
MAKE_ID = id_maker(clock=iter(range(int(START.timestamp()) * 10**9, 2**63, 10**13)).__next__)


def make_rerun(repeated: bool = True) -> Rerun:
    baseline, candidate = RNG.choice(LABELS, 2)
    id = MAKE_ID()
    truth = GroundTruth(str(RNG.choice(LABELS)), 1, START) if permanent_random(id) < 0.3 else None
    stored = Stored(id, (str(baseline), 0.75), permanent_random(id), 1.0, truth)
    score = 0.75 + RNG.uniform(-0.01, 0.01) if repeated else 0.5
    return Rerun(stored, (str(baseline), score), (str(candidate), 0.5), is_too_small=bool(RNG.random() < 0.2))


RERUNS = [make_rerun(repeated=number != 150) for number in range(200)]


def compared(reruns: list[Rerun], most_flips: int | None = None) -> Comparison:
    comparison = Comparison("model/1.0.0", "model/2.0.0", most_flips)
    for rerun in reruns:
        comparison.add(rerun)
    return comparison


def parts(most_flips: int | None = None) -> list[Comparison]:
    """Of unequal sizes, one of them empty, as workers send them."""
    ends = [0, 3, 3, 90, 151, 200]
    found = [compared(RERUNS[start:end], most_flips) for start, end in pairwise(ends)]
    return [pickle.loads(pickle.dumps(part)) for part in found]


def test_merged_parts_say_what_the_whole_says() -> None:
    whole = compared(RERUNS)
    for every in (parts(), parts()[::-1]):
        merged = reduce(Comparison.merge, every)
        assert merged.report(all_inputs=True) == whole.report(all_inputs=True)
        assert (merged.flips, merged.to_store(), merged.inputs) == (whole.flips, whole.to_store(), 200)


def test_the_first_flips_are_enough_until_all_of_them_are_judged() -> None:
    whole = compared(RERUNS)
    report = whole.report(all_inputs=True)
    judged = report["judged"]
    assert 10 < judged < len(whole.flips)
    for most in (judged + 1, judged + 5):
        merged = reduce(Comparison.merge, parts(most))
        assert merged.flips == whole.flips[:most]
        assert merged.report(all_inputs=True) == report
    fewer = reduce(Comparison.merge, parts(judged - 3)).report(all_inputs=True)
    assert fewer["judged"] == judged - 4
    assert (fewer["flips_to_judge"], fewer["flips"]) == (len(whole.flips), report["flips"])


def test_ground_truths_can_be_looked_up_at_the_end() -> None:
    whole = compared(RERUNS)
    truths = {rerun.id: rerun.stored.truth for rerun in RERUNS if rerun.stored.truth}
    later = compared([replace(one, stored=replace(one.stored, truth=None)) for one in RERUNS])
    assert later.report(all_inputs=True)["judged"] == 0
    later.look_up(lambda ids: {id: truths[id] for id in ids if id in truths})
    assert later.report(all_inputs=True) == whole.report(all_inputs=True)


def test_the_newest_unfaithful_input_is_named() -> None:
    wrong = [make_rerun(repeated=False) for _ in range(5)]
    every = [compared(wrong[:2]), compared(RERUNS), compared(wrong[2:])]
    for one in (every, every[::-1]):
        merged = reduce(Comparison.merge, pickle.loads(pickle.dumps(one)))
        with pytest.raises(LookbookError, match=f"for 6 of 205 stored inputs, .* .for {wrong[-1].id} it was"):
            merged.report(all_inputs=True)
