"""The report of a comparison, printed. Tests: tests/unit/test_replay_command.py."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from lookbook.cli import output

WORSE = 3  # exit code


def finish(report: Mapping[str, Any], stored: str | None, refusal: str | None, url: str, as_json: bool) -> None:
    """Print the report, and exit unless the candidate passes.

    `stored` is the ID of the stored comparison, `refusal` says why it is not stored; `url` is that of the server.
    """
    if report["too_small"]:
        output.complain(
            f"some inputs ({report['too_small']:,}) are smaller than the candidate's input size, which may lower its "
            "accuracy; to keep the uploaded files from now on, set LOOKBOOK_KEEP=original on the server"
        )
    if as_json:
        print(json.dumps({"comparison": stored, **report}))
    else:
        print(*_lines(report), sep="\n")
        if stored and report["judged"] < report["flips_to_judge"]:
            print(f"review       {url}/#review?compare={stored}")
    if refusal:
        output.complain(f"the result is not stored: {refusal}")
    if report["worse"] or refusal:
        sys.exit(WORSE if report["worse"] else 1)


def _lines(report: Mapping[str, Any]) -> Iterable[str]:
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
