"""`lookbook batch replay`: another model over all kept inputs, on Spark. Tests: tests/spark/test_replay.py."""

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookbook.cli.batch.options import conf_option
from lookbook.cli.batch.progress import progress_of
from lookbook.cli.extras import extra
from lookbook.cli.options import comparison_options, day_options
from lookbook.errors import StoreUnavailable
from lookbook.model.bundle import find_bundle, read_bundle
from lookbook.settings import Settings

if TYPE_CHECKING:
    from lookbook.replay.comparison import Comparison
    from lookbook.spark.replay import Run

_DAYS = 28
_EPOCH = date(1970, 1, 1).toordinal()


@click.command()
@click.argument("bundle", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option(
    "--baseline-bundle",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Bundle that made the predictions.  [default: that of LOOKBOOK_MODEL]",
)
@day_options
@click.option("--job", metavar="NAME", help="Compare the models on the images of this job; needs --source.")
@click.option("--source", help="The SOURCE of the job, to read its images again.")
@comparison_options
@conf_option
def replay(
    bundle: Path,
    baseline_bundle: Path | None,
    since: str | None,
    until: str | None,
    job: str | None,
    source: str | None,
    as_json: bool,
    html: Path | None,
    no_store: bool,
    conf: dict[str, str],
) -> None:
    """Compare another model with the one that made the predictions, on all kept inputs.

    This is `lookbook replay --all` for many inputs. Spark's workers read the inputs from the store that the LOOKBOOK_*
    environment variables name, and run both models: the baseline, which made the predictions, and the candidate in the
    folder BUNDLE.

    With --job and --source, the models run on the images that a job of `lookbook batch classify` has read, whether the
    store has kept them or not. The workers read them from SOURCE again.

    \b
    Exit codes:
      0    the candidate is not significantly worse
      1    the models could not be compared, or the result could not be stored
      2    the command line is wrong
      3    the candidate is significantly worse
      75   Spark ended early, maybe because it ran out of memory
      130  the command was interrupted
    """
    if bool(job) != bool(source) or (job and (since or until)):
        raise click.UsageError("--job and --source need each other, and cannot be used with --since or --until")
    first, last = _days(since, until)
    settings = Settings.from_environment(os.environ)
    baseline = read_bundle((baseline_bundle or find_bundle(settings.model)).absolute())
    candidate = read_bundle(bundle.absolute())
    with extra("spark", "pyspark", "pyarrow", "pandas"):
        from lookbook.spark.replay import Run
        from lookbook.spark.session import open_session
        from lookbook.spark.source import read_source
    from lookbook.cli import report as web
    from lookbook.cli.comparison import finish
    from lookbook.cli.store import opened_store

    with (
        opened_store() as store,
        open_session(f"lookbook replay {bundle}", conf, "run the same command again") as session,
    ):
        run = Run(session, settings, store, baseline, candidate)
        if job and source:
            comparison = run.job(read_source(session, source), job, progress_of)
        else:
            comparison = run.kept_inputs(first, last, progress_of)
        report = comparison.report(all_inputs=True)
        if html:
            web.write(html, report, run.with_previews(comparison.flips[: web.MAX_FLIPS]))
        stored, refusal = (None, None) if no_store else _store(run, comparison, report)
    finish(report, stored, refusal, "on a server with this store: ", as_json)


def _store(run: "Run", comparison: "Comparison", report: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The ID of the stored comparison, or why it is not stored."""
    try:
        return str(run.store(comparison, report)), None
    except StoreUnavailable as error:
        return None, f"{error}; run the command again"


def _days(since: str | None, until: str | None) -> tuple[int, int]:
    """The first and the last day, as quality.Window has them."""
    last = (date.fromisoformat(until) if until else datetime.now(UTC).date()).toordinal()
    first = date.fromisoformat(since).toordinal() if since else last - _DAYS + 1
    if first > last:
        raise click.UsageError("--since must not be after --until")
    return first - _EPOCH, last - _EPOCH
