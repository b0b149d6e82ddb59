"""Measures how good the estimates of lookbook.truth are: `python -m benchmarks.truth`, or `make acceptance`.

Traffic with known truths goes through the product's sampler and estimators; the tables compare what they say with the
truth. The last table lists the requirements; if one is missed, the exit code is 1.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import table
from benchmarks.machine import machine
from benchmarks.truth_cases import (
    CHUNKS,
    Bursts,
    Replays,
    Tallies,
    alarm_after,
    by_label,
    overall,
    replays,
    reviewers,
    small_weeks,
)
from benchmarks.truth_traffic import Codes, Images, Week, from_file, synthetic

WEEK = 40_000
COUNTS = (20, 50, 200, 1000)
LATE = 15  # chunks without a change after the reference, in half of the cases with one

_FIGURES = ("bias", "RMSE", "coverage", "width", "judged")


@dataclass(frozen=True, slots=True)
class Requirement:
    name: str
    found: float
    least: float | None = None
    most: float | None = None

    @property
    def is_met(self) -> bool:
        return (self.least is None or self.found >= self.least) and (self.most is None or self.found <= self.most)

    def cells(self) -> list[str]:
        limit = f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"
        return [self.name, limit, f"{self.found:.3f}", "yes" if self.is_met else "NO"]


@dataclass(frozen=True, slots=True)
class Delay:
    """Drift of chunks of `rows`: the share of false alarms in 30 chunks, and delays in chunks by kind of change."""

    rows: int
    clustered: bool
    false_alarms: float
    delays: dict[tuple[str, int], tuple[float, float]]  # (change, late): median, 90%


def accuracy(images: Images, rows: Codes, repetitions: int, seed: int) -> tuple[Tallies, Tallies, Tallies, Bursts]:
    """The estimates of the accuracy, of each label, and with reviewers of all kinds; and the sampled rows of bursts."""
    rng, bursts = np.random.default_rng(seed), Bursts()
    main, labels, people = Tallies(), Tallies(), Tallies()
    for _ in range(repetitions):
        week = Week(rng, images, rows, WEEK)
        overall(week, COUNTS, main)
        by_label(week, COUNTS, labels)
        reviewers(rng, week, people)
        bursts.add(week)
    return main, labels, people, bursts


def drift(images: Images, repetitions: int, seed: int, sizes: tuple[int, ...] = (100, 300, 1000)) -> Iterator[Delay]:
    rng = np.random.default_rng(seed)
    for rows in sizes:
        for clustered in (False, True):
            still = [alarm_after(rng, images, rows, clustered, None) for _ in range(repetitions)]
            delays = {}
            for late in (0, LATE):
                for change in ("label", "accuracy"):
                    after = (alarm_after(rng, images, rows, clustered, change, late) for _ in range(repetitions // 2))
                    true = [chunks for chunks in after if chunks > 0]
                    delays[change, late] = _quantile(true, 0.5), _quantile(true, 0.9)
            yield Delay(rows, clustered, float(np.mean(np.array(still) <= CHUNKS)), delays)


def accuracy_required(main: Tallies, labels: Tallies, people: Tallies, bursts: Bursts) -> list[Requirement]:
    found = []
    for count in COUNTS:
        tally = main[f"in the order of review, {count}"]
        found.append(Requirement(f"1. coverage, {count} judged", tally.coverage, least=0.93))
        found.append(Requirement(f"1. bias, {count} judged", abs(tally.bias), most=0.005))
        if count <= 200:
            gain = tally.rmse**2 / main[f"pure random: share right, {count}"].rmse ** 2
            found.append(Requirement(f"3. MSE against pure random, {count} judged", gain, most=0.9))
    for case, tally in labels.items():
        if len(tally.covered) >= 100:  # with fewer, a coverage says little
            found.append(Requirement(f"1. coverage, {case}", tally.coverage, least=0.93))
    for case in ("stop at random", "judge days unevenly", "100 in order, and complaints about 30% of errors"):
        found.append(Requirement(f"2. coverage, {case}", people[case].coverage, least=0.93))
        found.append(Requirement(f"2. bias, {case}", abs(people[case].bias), most=0.005))
    found.append(Requirement("2. coverage, hard ones unclear", people["200, hard ones unclear"].coverage, least=0.95))
    rows = float(np.mean(bursts.excess))
    found.append(Requirement("6. sampled rows over K (1 + ln(n/K)), mean", rows, most=0.05))
    return found


def drift_required(delays: list[Delay]) -> list[Requirement]:
    found = []
    for delay in delays:
        if delay.rows >= 300:
            case = f"{delay.rows} rows, {'clustered' if delay.clustered else 'independent'}"
            most = 0.10 if delay.clustered else 0.05
            found.append(Requirement(f"4. false alarm in {CHUNKS} chunks, {case}", delay.false_alarms, most=most))
            late = delay.delays["accuracy", 0][1]
            found.append(Requirement(f"4. chunks to find -10 points, 90%, {case}", late, most=3))
    return found


def replay_required(same: dict[int, Replays]) -> list[Requirement]:
    return [
        Requirement(
            f"5. McNemar rejects without a difference, {count} judged", float(np.mean(found.significant)), most=0.05
        )
        for count, found in same.items()
    ]


def _quantile(values: list[float], share: float) -> float:
    return float(np.quantile(values, share, method="higher")) if values else float("inf")


def _accuracy_part(images: Images, rows: Codes, repetitions: int, seed: int) -> list[Requirement]:
    main, labels, people, bursts = accuracy(images, rows, repetitions, seed)
    _print_tallies("Accuracy", main)
    _print_tallies("Labels with at least 5 judgments", labels)
    _print_tallies("Reviewers", people)
    small = small_weeks(np.random.default_rng(seed + 1), images, rows, repetitions)
    _print_tallies("Ten predictions a day", small)
    return accuracy_required(main, labels, people, bursts)


def _print_tallies(title: str, tallies: Tallies) -> None:
    print(f"\n### {title}\n")
    table.head(("case", *_FIGURES), texts=1)
    for case, tally in tallies.items():
        table.row([case, *tally.cells()])


def _print_drift(delays: Iterator[Delay]) -> list[Delay]:
    print("\n### Drift: false alarms, and chunks from a change to its alarm (median / 90%)\n")
    print(f"The change comes right after the reference, or {LATE} chunks later.\n")
    changes = ("+10% of a label", "-10 points")
    late = [f"{change}, {when}" for when in ("at once", "later") for change in changes]
    table.head(("rows per chunk", "senders", f"false alarm in {CHUNKS} chunks", *late), texts=2)
    found = []
    for delay in delays:
        figures = [f"{median:.0f} / {most:.0f}" for median, most in delay.delays.values()]
        senders = "clustered" if delay.clustered else "independent"
        table.row([str(delay.rows), senders, f"{delay.false_alarms:.3f}", *figures])
        found.append(delay)
    return found


def _print_replays(images: Images, rows: Codes, repetitions: int, seed: int) -> dict[int, Replays]:
    print("\n### Replay: the difference in accuracy from judged flips\n")
    table.head(("candidate", *_FIGURES, "significant", "found worse"), texts=1)
    rng, found = np.random.default_rng(seed), {}
    cases = (("twin", True, False), ("worse", False, False), ("worse, exchanged at random", False, True))
    for case, twin, swapped in cases:
        found = replays(rng, images, rows, repetitions, twin=twin, swapped=swapped)
        for count, one in found.items():
            shares = [f"{np.mean(part):.3f}" for part in (one.significant, one.worse)]
            table.row([f"{case}, {count}", *one.tally.cells(), *shares])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", type=Path, help="a model's scores of images (.npz); synthetic ones by default")
    parser.add_argument("--seen", action="store_true", help="also images of senders that training has seen")
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("accuracy", "drift", "replay"), help="one part; all by default")
    options = parser.parse_args()
    images = from_file(options.scores) if options.scores else synthetic()
    rows = np.arange(len(images.truth)) if options.seen else images.unseen
    model = images.model
    print(f"{machine()}\n\n{len(rows)} images of {options.scores.name if options.scores else 'synthetic scores'}:")
    print(f"accuracy {model.right[rows].mean():.3f}, mean score {model.score[rows].mean():.3f};")
    print(f"{options.repetitions} repetitions, seed {options.seed}.")
    required = list[Requirement]()
    if options.only in (None, "accuracy"):
        required += _accuracy_part(images, rows, options.repetitions, options.seed)
    if options.only in (None, "drift"):
        required += drift_required(_print_drift(drift(images, max(20, options.repetitions // 5), options.seed + 2)))
    if options.only in (None, "replay"):
        required += replay_required(_print_replays(images, rows, options.repetitions, options.seed + 3))
    print("\n### Requirements\n")
    table.head(("requirement", "limit", "found", "met"), texts=2)
    for requirement in required:
        table.row(requirement.cells())
    return 0 if all(requirement.is_met for requirement in required) else 1


if __name__ == "__main__":
    sys.exit(main())
