"""`lookbook classify`: predictions for images, from a server or from a local bundle."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from lookbook import images
from lookbook.cli import output
from lookbook.cli.options import form_options, server_options
from lookbook.errors import RequestError, ServerUnreachable
from lookbook.model.bundle import find_bundle, read_bundle
from lookbook.model.quiet import quiet
from lookbook.server.cpus import available_cpus
from lookbook.settings import Settings

# An image's file name and bytes to its prediction.
Classify = Callable[[str, bytes], dict[str, Any]]

SERVER_JOBS = 8
WIDEST_PATH = 60


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@server_options()
@click.option(
    "--bundle",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Classify on this machine, with the bundle in this folder.",
)
@form_options
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 64),
    help=f"Number of images at a time.  [default: {SERVER_JOBS} with a server, else one per CPU]",
)
@click.pass_context
def classify(
    context: click.Context,
    paths: tuple[str, ...],
    url: str | None,
    token: str | None,
    bundle: Path | None,
    form: str | None,
    jobs: int | None,
) -> None:
    """Classify images.

    PATH is an image file, a folder, or - for standard input. Folders are searched recursively for JPEG, PNG, and WebP
    files, whatever their names; hidden files, hidden folders, and symbolic links to folders are skipped.

    With --url or LOOKBOOK_URL, a server classifies the images and stores each prediction exactly once. With --bundle,
    or without a server, images are classified on this machine, and nothing is stored.

    Predictions are printed in the order of the images. An image that cannot be classified does not stop the others:
    the reason is printed to standard error and, with --json or --csv, in the image's place.

    \b
    Exit codes:
      0    all images were classified
      1    an image could not be classified, or the command failed
      2    the command line is wrong
      130  the command was interrupted; printed lines are complete
    """
    if bundle and context.get_parameter_source("url") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--url and --bundle cannot be used together")
    found = list(images.find(paths))
    if not found:
        raise click.UsageError(f"no JPEG, PNG, or WebP images in {', '.join(map(click.format_filename, paths))}")
    if url and not bundle:
        jobs = jobs or SERVER_JOBS
        labels, one = _on_server(url, token)
    else:
        jobs = jobs or available_cpus()
        labels, one = _on_this_machine(bundle or find_bundle(Settings().model), jobs)
    write = output.writer(
        form,
        ("path", *output.CELLS, "id", "created_at", "error"),
        {
            "path": min(WIDEST_PATH, max(output.width_of(click.format_filename(path)) for path in found)),
            "label": max(map(len, labels)),
            "score": 6,
            "others": 0,
        },
    )
    if _classify_all(partial(_result, one), found, jobs, write):
        sys.exit(1)


def _classify_all(work: Callable[[str], output.Result], paths: list[str], jobs: int, write: output.Write) -> int:
    """Classify and write all images; returns how many failed."""
    # Imported here: the other commands start faster without threads.
    from lookbook.cli.runner import Runner

    report = _Report(write)
    try:
        with _progress(len(paths)) as report.advance:
            Runner(work, report.add, jobs).run(paths)
    except (KeyboardInterrupt, ServerUnreachable):
        output.complain(f"stopped: {report.done} of {len(paths)} images are done")
        raise
    if report.failed and len(paths) > 1:
        output.complain(f"{report.failed} of {len(paths)} images failed")
    return report.failed


class _Report:
    """Writes results and counts them."""

    advance: Callable[[], object]

    def __init__(self, write: output.Write) -> None:
        self._write = write
        self.done = self.failed = 0

    def add(self, result: output.Result) -> None:
        if "error" in result:
            self.failed += 1
            output.complain(f"{result['path']}: {result['error']['message']}")
        self._write(result)
        self.done += 1
        self.advance()


def _result(classify: Classify, path: str) -> output.Result:
    shown = click.format_filename(path)
    try:
        return {"path": shown, **classify(os.path.basename(shown), images.read(path))}
    except OSError as error:
        code, message = "unreadable", error.strerror or str(error)
    except RequestError as error:
        code, message = error.code, str(error)
    return {"path": shown, "error": {"code": code, "message": message}}


def _on_server(url: str, token: str | None) -> tuple[list[str], Classify]:
    # Imported here: classifying on this machine starts faster without it.
    from lookbook.cli.client import Client

    client = Client(url, token)
    return client.model()["labels"], client.classify


def _on_this_machine(folder: Path, jobs: int) -> tuple[list[str], Classify]:
    # Imported here: `lookbook --help` and classifying on a server start faster without them.
    from lookbook.model.inference import Classifier
    from lookbook.model.pillow import configure_pillow
    from lookbook.model.preprocessing import preprocess

    configure_pillow()
    bundle, max_pixels = read_bundle(folder), Settings().max_pixels
    with quiet():
        classifier = Classifier(bundle, jobs)

    def classify(_: str, data: bytes) -> dict[str, Any]:
        top = classifier.top(classifier.classify(preprocess(data, bundle.input, max_pixels)))
        return {
            "label": top[0][0],
            "score": top[0][1],
            "top": [{"label": label, "score": score} for label, score in top],
            "model": {"name": bundle.name, "version": bundle.version},
        }

    return list(bundle.labels), classify


def _progress(total: int) -> AbstractContextManager[Callable[[], object]]:
    """A progress bar, if standard error is a terminal and there are several images; yields a function that moves it."""
    if total == 1 or not sys.stderr.isatty():
        return nullcontext(lambda: None)
    from lookbook.cli.progress import bar

    return bar(total)
