"""`lookbook evaluate`: how good a model version is, or several pooled, estimated from judgments of its predictions.

Tests: tests/unit/test_review.py.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from lookbook.cli import output
from lookbook.cli.options import day_options, moment, server_options, version_option
from lookbook.errors import LookbookError

Share = Mapping[str, Any]


@click.command()
@server_options("http://127.0.0.1:8080")
@version_option("evaluated", pooled=True)
@day_options
@click.option(
    "--as-of", metavar="TIME", callback=moment, help="Count only judgments made until this time.  [default: now]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the response of the server as one JSON object.")
def evaluate(url: str, token: str | None, as_json: bool, **query: Any) -> None:
    """Show how good a model version is.

    A server samples its predictions, and people judge some of them. From the judgments, it estimates the accuracy of
    all predictions of the period, and the precision and recall of each label, with 95% confidence intervals. With
    fewer than five judgments, there are counts but no estimates.
    """
    # Imported here: the other commands start faster without it.
    from lookbook.cli.client import Client

    found = Client(url, token).evaluation(query)
    if query["model_version"]:
        _check_versions(found)
    if as_json:
        print(json.dumps(found))
    else:
        print(*(output.printable(line) for line in _lines(found)), sep="\n")


def _check_versions(found: Mapping[str, Any]) -> None:
    """Raises LookbookError for a version without predictions, because its name may be wrong."""
    known = list(map(_name, found["models"]))
    advice = f"it has those of {', '.join(known)}" if known else "check --since and --until"
    for version in _versions(found):
        if version not in known:
            raise LookbookError(
                f"the server has no sampled predictions of {version} from {found['since']} to {found['until']}; "
                f"{advice}"
            )


def _versions(found: Mapping[str, Any]) -> list[str]:
    return [_name(model) for model in found["pooled"] or [found["model"]]]


def _name(model: Mapping[str, str]) -> str:
    return f"{model['name']}/{model['version']}"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"model        {', '.join(_versions(found))}"
    yield f"period       {found['since']} to {found['until']}"
    yield f"predictions  {found['population_size']:,.0f} (estimated; sampled: {found['sampled']:,})"
    yield f"judged       {found['judged']:,}, of which unclear: {found['unclear']:,}"
    if found["waiting"]:
        yield f"             not counted yet, because judged out of turn: {found['waiting']:,}"
    if found["accuracy"]["estimate"] is not None:
        yield f"accuracy     {_shown(found['accuracy'])}"
    else:
        yield "accuracy     not known yet: judge at least five predictions"
        if found["estimated_accuracy"] is not None:
            yield f"             {found['estimated_accuracy']:.1%} according to the model's scores alone"
    if found["expected_calibration_error"] is not None:
        error, brier = found["expected_calibration_error"], found["brier_score"]
        yield f"calibration  expected error {error:.3f}, Brier score {brier:.3f}"
    labels = [label for label in found["precision"] if _is_judged(found, label)]
    if labels:
        yield ""
        yield from _table(found, labels)


def _table(found: Mapping[str, Any], labels: list[str]) -> Iterator[str]:
    rows = [("label", "precision", "judged", "recall", "judged")]
    for label in labels:
        precision, recall = found["precision"][label], found["recall"][label]
        rows.append((label, _shown(precision), f"{precision['n']:,}", _shown(recall), f"{recall['n']:,}"))
    widths = [max(map(output.width_of, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell + " " * (width - output.width_of(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _is_judged(found: Mapping[str, Any], label: str) -> bool:
    return bool(found["precision"][label]["n"] or found["recall"][label]["n"])


def _shown(share: Share) -> str:
    if share["estimate"] is None:
        return "-"
    low, high = share["confidence_interval"]
    return f"{share['estimate']:.1%} ({low:.1%} to {high:.1%})"
