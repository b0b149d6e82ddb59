"""`lookbook replay`: what another model says about the inputs that a server has stored.

The only command that uses a server and a model on this machine together: the server has the inputs and the ground
truths, and running a second model must not slow it down. Tests: tests/unit/test_replay_command.py.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookbook.cli import output
from lookbook.cli.options import day_options, server_options, version_option
from lookbook.errors import LookbookError, RequestError
from lookbook.model.bundle import Bundle, BundleError, find_bundle, read_bundle
from lookbook.model.quiet import quiet
from lookbook.server.cpus import available_cpus
from lookbook.settings import Settings

# Everything else is imported where it is needed, because the other commands start faster without it.
if TYPE_CHECKING:
    from lookbook.cli.client import Client
    from lookbook.cli.comparison import Comparison, Rerun

WORSE = 3  # exit code

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
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write a report that shows the images of the flips.",
)
@click.option("--no-store", is_flag=True, help="Do not store the result. Its flips cannot be reviewed then.")
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
    from lookbook.cli.client import Client
    from lookbook.cli.comparison import lines

    client = Client(url, token)
    client.model()
    candidate = read_bundle(bundle)
    samples = _Samples(client, query, every, limit)
    find = partial(_read_baseline, baseline_bundle, bundle)
    comparison, without_input = _compare(samples, candidate, find, previews=html is not None)
    report = comparison.report(without_input, every)
    if report["too_small"]:
        output.complain(
            f"some inputs ({report['too_small']:,}) are smaller than the candidate's input size, which may lower its "
            "accuracy; to keep the uploaded files from now on, set LOOKBOOK_KEEP=original on the server"
        )
    if html:
        _write(html, comparison, report)
    stored, refusal = (None, None) if no_store else _store(client, comparison.to_store(report))
    if as_json:
        print(json.dumps({"comparison": stored, **report}))
    else:
        print(*lines(report), sep="\n")
        if stored and report["judged"] < report["flips_to_judge"]:
            print(f"review       {url.rstrip('/')}/#review?compare={stored}")
    if refusal:
        output.complain(f"the result is not stored: {refusal}; use another token, or --no-store")
    if report["worse"] or refusal:
        sys.exit(WORSE if report["worse"] else 1)


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
) -> tuple["Comparison", int]:
    """What both models say, and how many samples no longer have an input.

    `find_baseline` gets the name and version of the model that made the predictions.
    """
    from lookbook.cli.comparison import Comparison

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
            f"the server has no inputs of this model version and period (predictions without one: {without_input:,}); "
            "check --model-version, --since, --until, and the server's LOOKBOOK_KEEP"
        )
    return Comparison(_name(baseline), _name(candidate), found, samples.limits), without_input


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
        raise BundleError(f"{folder} is {_name(bundle)}, but the predictions are of {name}/{version}")
    return bundle


def _runner(baseline: Bundle, candidate: Bundle, previews: bool) -> Callable[[Sample], "Rerun"]:
    from lookbook.cli.comparison import Rerun
    from lookbook.cli.inputs import StoredInput
    from lookbook.model.inference import Classifier
    from lookbook.model.pillow import configure_pillow

    configure_pillow()
    max_pixels = Settings().max_pixels
    with quiet():
        models = [Classifier(bundle, available_cpus()) for bundle in (baseline, candidate)]

    def rerun(sample: Sample) -> Rerun:
        input = StoredInput(sample["input"], baseline.input, max_pixels)
        before, after = (model.top(model.classify(input.array(model.bundle.input)))[0] for model in models)
        kept = {name: sample[name] for name in Rerun.MEMBERS}
        preview = input.preview() if previews and before[0] != after[0] else b""
        return Rerun(kept, before, after, preview, input.is_smaller_than(candidate.input))

    return rerun


def _store(client: "Client", comparison: Mapping[str, Any]) -> tuple[str | None, RequestError | None]:
    """The ID of the stored comparison, or why the server does not store it."""
    try:
        return client.compare(comparison)["id"], None
    except RequestError as error:
        return None, error


def _name(bundle: Bundle) -> str:
    return f"{bundle.name}/{bundle.version}"


def _write(file: Path, comparison: "Comparison", report: Mapping[str, Any]) -> None:
    from lookbook.cli.report import page

    try:
        file.write_text(page(report, comparison.flips))
    except OSError as error:
        raise LookbookError(f"cannot write {file}: {error.strerror}") from error
