"""`lookbook batch classify`: on this machine, or with a release on Kubernetes.

Tests: tests/spark/test_batch.py, tests/chart/test_cluster_jobs.py.
"""

import os
from contextlib import nullcontext
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from lookbook.cli import output
from lookbook.cli.batch.lock import locked
from lookbook.cli.batch.options import conf_option
from lookbook.cli.batch.progress import progress_of
from lookbook.cli.extras import extra
from lookbook.cli.options import release_options
from lookbook.errors import LookbookError
from lookbook.model.bundle import find_bundle, read_bundle
from lookbook.settings import Settings

if TYPE_CHECKING:
    from lookbook.spark.batch import Summary


@click.command()
@click.argument("source")
@click.option("--job", metavar="NAME", help="Store the predictions as a job with this name.")
@click.option(
    "--parquet", metavar="FOLDER", help="Write the predictions to this folder as Parquet files; store nothing."
)
@click.option(
    "--bundle",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Model bundle.  [default: that of LOOKBOOK_MODEL]",
)
@click.option(
    "--rejects",
    metavar="FOLDER",
    help="With --job, where to list images that cannot be read; - prints the first 1,000.  [default: NAME-rejects; "
    "with --on-cluster: -]",
)
@click.option(
    "--writes-per-second",
    metavar="N",
    type=click.IntRange(1),
    help="With --job, maximum number of predictions to store per second.",
)
@conf_option
@click.option("--on-cluster", is_flag=True, help="Run the job with a release on Kubernetes, with its model and store.")
@click.option("--executors", metavar="N", type=click.IntRange(1), help="Number of pods that classify.  [default: 2]")
@click.option(
    "--volume",
    metavar="CLAIM",
    help="PersistentVolumeClaim with the images; SOURCE and the folder of --parquet are paths in it.",
)
@release_options
def classify(
    source: str,
    job: str | None,
    parquet: str | None,
    bundle: Path | None,
    rejects: str | None,
    writes_per_second: int | None,
    conf: dict[str, str],
    on_cluster: bool,
    executors: int | None,
    volume: str | None,
    **release: str | None,
) -> None:
    """Classify the images of SOURCE.

    SOURCE is a folder, a glob such as 'shop/*/front.jpg', a .txt file with one path per line, a .parquet file or
    folder with the column path and optionally content, or a URL such as hdfs://namenode:8020/images.

    With --job, predictions go into the store that the LOOKBOOK_* environment variables name. If the job is stopped,
    run the same command again: it classifies the rest, and each image gets one prediction.

    With --on-cluster, the command shows the log of the job. If you press Ctrl-C, the job keeps running: run the same
    command to follow it again, or `lookbook batch stop` to end it.

    \b
    Exit codes:
      0    the job is complete, even if some images could not be read
      1    the job failed
      2    the command line is wrong
      75   Spark ended early, maybe because it ran out of memory
      130  the command was interrupted
    """
    if bool(job) == bool(parquet):
        raise click.UsageError("give either --job NAME, to store the predictions, or --parquet FOLDER")
    if parquet and (rejects or writes_per_second):
        raise click.UsageError(
            "--rejects and --writes-per-second are for --job; with --parquet, FOLDER/outcome=rejects lists the rejects"
        )
    if on_cluster:
        if bundle:
            raise click.UsageError("--on-cluster uses the model of the release, and cannot be used with --bundle")
        options = [f"--conf={key}={value}" for key, value in conf.items()]
        if job:
            options.append(f"--rejects={rejects or '-'}")
        if writes_per_second:
            options.append(f"--writes-per-second={writes_per_second}")
        _on_cluster(job, parquet, source, volume, executors or 2, options, release)
    elif executors or volume:
        raise click.UsageError("--executors and --volume need --on-cluster")
    else:
        _with_session(source, job, parquet, bundle, rejects, writes_per_second, conf)


def _with_session(
    source: str,
    job: str | None,
    parquet: str | None,
    bundle: Path | None,
    rejects: str | None,
    writes_per_second: int | None,
    conf: dict[str, str],
) -> None:
    settings = Settings.from_environment(os.environ)
    with extra("spark", "pyspark", "pyarrow", "pandas"):
        from lookbook.spark import batch as jobs
        from lookbook.spark.session import open_session
        from lookbook.spark.source import read_source
    folder = (bundle or find_bundle(settings.model)).absolute()
    model = read_bundle(folder)
    target = parquet or rejects or f"{job}-rejects"
    # Without a lock, another run would delete what this one writes, and add the same predictions to Parquet again.
    lock = nullcontext() if target == "-" else locked(target)
    try:
        with lock, open_session(f"lookbook {job or parquet}", conf) as session:
            images = read_source(session, source)
            total = images.count()
            if not total:
                raise LookbookError(f"no images in {source}: only JPEG, PNG, and WebP files are classified")
            run = jobs.Run(session, settings, model, folder, writes_per_second)
            with progress_of(total) as progress:
                if job:
                    summary = run.store(images, total, job, None if target == "-" else target, progress)
                else:
                    summary = run.table(images, total, target, progress)
            cpus = session.sparkContext.defaultParallelism
    except KeyboardInterrupt:
        output.complain("stopped: run the same command again to classify the rest")
        raise
    _print_summary(summary, cpus)


def _print_summary(summary: "Summary", cpus: int) -> None:
    for reject in summary.listed:
        print(reject)
    if 0 < len(summary.listed) < summary.rejects:
        output.complain(
            f"{summary.rejects - len(summary.listed)} more rejects are not listed: run the same command with "
            "--rejects FOLDER to list all"
        )
    done = sum(summary.labels.values())
    for label, count in summary.labels.most_common():
        print(f"{label}  {count}")
    if summary.before:
        print(f"classified by an earlier run: {summary.before}")
    for reason, count in summary.reasons.most_common():
        print(f"rejected as {reason}: {count}")
    print(
        f"classified: {done}, rejected: {summary.rejects}, in {summary.seconds:.0f} s; "
        f"{done / summary.seconds / cpus:.1f} images per second per CPU"
    )


def _on_cluster(
    name: str | None,
    parquet: str | None,
    source: str,
    volume: str | None,
    executors: int,
    options: list[str],
    release: dict[str, Any],
) -> None:
    with extra("k8s", "kubernetes"):
        from lookbook.cli.cluster import Release
        from lookbook.cli.cluster_jobs import ClusterJobs, NewJob
    if not volume and not all("://" in path for path in (source, parquet) if path):
        raise click.UsageError("--on-cluster needs --volume CLAIM, or URLs such as hdfs://namenode:8020/images")
    job, jobs = NewJob(name, parquet, source, volume, executors, options), ClusterJobs(Release(**release))
    started = jobs.start(job)
    try:
        output.complain(f"job {job.title} is running{'' if started else ' already'}")
        jobs.follow(job.title, click.echo, output.complain)
    except KeyboardInterrupt:
        output.complain(
            f"job {job.title} keeps running: to follow it again, run the same command; to end it, run "
            f"`lookbook batch stop {quote(job.title)}`"
        )
        raise
