"""`lookbook replay`: what another model says about the inputs that a server has stored.

The only command that uses a server and a model on this machine together: the server has the inputs and the ground
truths, and running a second model must not slow it down. Tests: tests/unit/test_replay_command.py.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookbook.cli.options import comparison_options, day_options, server_options, version_option
from lookbook.errors import LookbookError, RequestError
from lookbook.model.bundle import Bundle, BundleError, find_bundle, read_bundle
from lookbook.model.quiet import quiet
from lookbook.server.cpus import available_cpus
from lookbook.settings import Settings

# Everything else is imported where it is needed, because the other commands start faster without it.
if TYPE_CHECKING:
    from lookbook.cli.client import Client
    from lookbook.replay.comparison import Comparison
    from lookbook.replay.rerun import Rerun

_PAGE = 100

Sample = Mapping[str, Any]


@click.command()
@click.argument("bundle", metavar="BUNDLE", type=click.Path(path_type=Path))
@server_options("http://127.0.0.1:8080")
@version_option("replayed")
@click.option(
    "--baseline-bundle",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Bundle that made the predictions.  [default: found by its name and version, beside BUNDLE and in models/]",
)
@day_options
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Use all inputs that the server keeps, not only those of its sample: see LOOKBOOK_KEEP_FOR.",
)
@click.option(
    "--limit", metavar="N", type=click.IntRange(1), help="Maximum number of predictions.  [default: no limit]"
)
@comparison_options
def replay(
    bundle: Path,
    url: str,
    token: str | None,
    baseline_bundle: Path | None,
    every: bool,
    limit: int | None,
    as_json: bool,
    html: Path | None,
    no_store: bool,
    **query: str | None,
) -> None:
    """Compare another model with the served one on stored inputs.

    The model in the folder BUNDLE, the candidate, runs on this machine over the inputs of the predictions that a server
    has sampled, the newest days first. It gets no traffic. From the sample, the command estimates the agreement over
    all predictions. With --all, every input that the server keeps counts once.

    The model that made the predictions, the baseline, runs over the inputs, too. If it does not repeat its label and,
    within 0.02, its score for an input, the input is left out; if that happens for more than 1%, the command fails.

    A flip is an input to which the candidate gives another label. The result is stored on the server, so that people
    can review the flips. After that, run the command again: an exact paired test of the judged flips shows which model
    is right more often. With fewer than six judged flips, no difference is significant.

    \b
    Exit codes:
      0    the candidate is not significantly worse
      1    the models could not be compared, or the result could not be stored
      2    the command line is wrong
      3    the candidate is significantly worse
      130  the command was interrupted
    """
    from lookbook.cli import report as web
    from lookbook.cli.client import Client
    from lookbook.cli.comparison import finish

    client = Client(url, token)
    client.model()
    candidate = read_bundle(bundle)
    samples = _Samples(client, query, every, limit)
    find = partial(_read_baseline, baseline_bundle, bundle)
    comparison = _compare(samples, candidate, find, previews=html is not None)
    report = comparison.report(every)
    if html:
        web.write(html, report, comparison.flips)
    stored, refusal = (None, None) if no_store else _store(client, comparison, report)
    finish(report, stored, refusal, url.rstrip("/"), as_json)


class _Samples:
    """The samples of a server, or all its predictions, page by page."""

    def __init__(self, client: "Client", query: Mapping[str, str | None], every: bool, limit: int | None) -> None:
        self._client, self._limit, self.every = client, limit, every
        # Servers before this parameter refuse it.
        self._query = {**query, "all": "true"} if every else query
        self.limits: dict[str, float] = {}  # for each day whose samples were not all read, the `u` of the next one

    def __iter__(self) -> Iterator[list[Sample]]:
        left, cursor = self._limit, None
        while True:
            size = _PAGE if left is None else min(_PAGE, left + 1)
            page = self._client.samples({**self._query, "limit": size, "cursor": cursor})
            items, cursor = page["items"], page["next"]
            if left is not None and len(items) > left:
                if not self.every:
                    # The sample after the last one.
                    self.limits[items[left]["created_at"][:10]] = items[left]["u"]
                items, cursor = items[:left], None
            yield items
            left = None if left is None else left - len(items)
            if cursor is None:
                return


def _compare(
    samples: _Samples, candidate: Bundle, find_baseline: Callable[..., Bundle], previews: bool
) -> "Comparison":
    """`find_baseline` gets the name and version of the model that made the predictions."""
    from lookbook.replay.comparison import Comparison

    found: list[Rerun] = []
    without_input = 0
    rerun: Callable[[Sample], Rerun] | None = None
    baseline: Bundle | None = None
    with ThreadPoolExecutor(available_cpus()) as pool:
        for page in samples:
            kept = [sample for sample in page if sample["input"]]
            without_input += len(page) - len(kept)
            if kept and baseline is None:
                baseline = find_baseline(**kept[0]["model"])
                rerun = _runner(baseline, candidate, previews)
            if rerun:
                found += pool.map(rerun, kept)
    if baseline is None:
        raise LookbookError(
            f"the server has no inputs of this model version and period (predictions without an input: "
            f"{without_input:,}); check --model-version, --since, --until, and the server's LOOKBOOK_KEEP"
        )
    comparison = Comparison(baseline.full_name, candidate.full_name)
    comparison.without_input = without_input
    for one in found:
        comparison.add(one.with_limit(samples.limits.get(one.day, 1.0)))
    return comparison


def _read_baseline(given: Path | None, candidate: Path, name: str, version: str) -> Bundle:
    """The bundle that made the predictions; raises BundleError."""
    beside = candidate.resolve().parent.parent.parent
    folders = [given] if given else [beside / name / version, find_bundle(f"models/{name}/{version}")]
    folder = next((folder for folder in folders if folder.exists()), None)
    if folder is None:
        raise BundleError(
            f"cannot find the bundle of {name}/{version}, which made the predictions", "name it with --baseline-bundle"
        )
    bundle = read_bundle(folder)
    if (bundle.name, bundle.version) != (name, version):
        raise BundleError(f"{folder} is {bundle.full_name}, but the predictions are of {name}/{version}")
    return bundle


def _runner(baseline: Bundle, candidate: Bundle, previews: bool) -> Callable[[Sample], "Rerun"]:
    from lookbook.cli.samples import to_input, to_stored
    from lookbook.model.inference import Classifier
    from lookbook.model.pillow import configure_pillow
    from lookbook.replay.rerun import Models

    configure_pillow()
    with quiet():
        before, after = (Classifier(bundle, available_cpus()) for bundle in (baseline, candidate))
    models = Models(before, after, Settings().max_pixels)

    def rerun(sample: Sample) -> "Rerun":
        return models.rerun(to_stored(sample), to_input(sample), previews)

    return rerun


def _store(client: "Client", comparison: "Comparison", report: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The ID of the stored comparison, or why the server does not store it."""
    flips = [{**asdict(flip), "prediction": str(flip.prediction)} for flip in comparison.to_store()]
    names = {"baseline": comparison.baseline, "candidate": comparison.candidate}
    try:
        return client.compare({**names, "report": report, "flips": flips})["id"], None
    except RequestError as error:
        return None, f"{error}; use another token, or --no-store"
