"""`lookbook classify`: pictures' classes, from a server or from a bundle on the spot."""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import click
from click.core import ParameterSource

from lookbook import images as pictures
from lookbook.cli import output
from lookbook.cli.options import form_options, server_options
from lookbook.errors import RequestError, ServerUnreachable
from lookbook.model.bundle import find_bundle, read_bundle
from lookbook.model.quiet import quiet
from lookbook.server.cpus import available_cpus
from lookbook.settings import Settings

# A picture's name and bytes to what is said of it.
Classify = Callable[[str, bytes], dict[str, Any]]

SERVER_JOBS = 8
WIDEST_PATH = 60


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@server_options()
@click.option("--bundle", type=click.Path(path_type=Path), help="Classify on the spot, with the bundle in this folder.")
@form_options
@click.option(
    "--jobs", type=click.IntRange(1, 64), help=f"Pictures at a time  [default: {SERVER_JOBS}; on the spot one a CPU]"
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
    """Say what pictures show.

    PATH is a picture, a folder (the .jpg, .jpeg, .png and .webp files in it and in its folders, but for hidden
    folders and links to folders) or - for standard input. Without --url it is done on the spot, with the bundle
    that ships: no server is needed and nothing is stored. A server stores each answer, once.

    Answers come in the order of the pictures. A picture that can't be classified does not stop the others: it is
    named on standard error, and its record in --json and --csv has an "error". The exit code is 0; 1 where a
    picture or everything failed; 2 where the command was called wrongly; 130 after Ctrl-C, which leaves whole lines.
    """
    if bundle and context.get_parameter_source("url") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--url and --bundle exclude each other")
    found = list(pictures.find(paths))
    if not found:
        raise click.UsageError(f"no pictures in {', '.join(map(click.format_filename, paths))}")
    if url and not bundle:
        jobs = jobs or SERVER_JOBS
        labels, one = _on_a_server(url, token)
    else:
        jobs = jobs or available_cpus()
        labels, one = _on_the_spot(bundle or find_bundle(Settings().model), jobs)
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
    if _run(partial(_outcome, one), found, jobs, write):
        sys.exit(1)


def _run(work: Callable[[str], output.Record], paths: list[str], jobs: int, write: output.Write) -> int:
    """Classify and write all; how many failed."""
    failed = done = 0
    waiting: deque[Future[output.Record]] = deque()

    def take(record: output.Record) -> None:
        nonlocal failed, done
        if "error" in record:
            failed += 1
            _complain(f"{record['path']}: {record['error']['message']}")
        write(record)
        done += 1

    try:
        with _bar(len(paths)) as advance, closing(_in_order(work, paths, jobs, waiting)) as records:
            for record in records:
                with _whole():
                    waiting.popleft()
                    take(record)
                advance()
    except (KeyboardInterrupt, ServerUnreachable):
        # A server has stored what was answered behind a picture that is still waited for.
        for future in waiting:
            if future.done() and not future.cancelled() and not future.exception():
                take(future.result())
        _complain(f"interrupted: {done} of {len(paths)} pictures are done")
        raise
    if failed and len(paths) > 1:
        _complain(f"{failed} of {len(paths)} pictures failed")
    return failed


@contextmanager
def _whole() -> Iterator[None]:
    """Ctrl-C waits for the end of this, so that what is written is counted; a second one does not."""
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if held:
            signal.default_int_handler(number, frame)
        held.append(number)

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        # What a script runs in the background ignores it, and goes on doing so.
        yield
        return
    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if held:
        raise KeyboardInterrupt


def _in_order(
    work: Callable[[str], output.Record], paths: list[str], jobs: int, waiting: deque[Future[output.Record]]
) -> Generator[output.Record]:
    """What `work` gives for each path, in their order, several at a time.

    Each is the first in `waiting`, from which the caller takes it; those after it stay there.
    """
    pool = ThreadPoolExecutor(jobs)
    try:
        for path in paths:
            if len(waiting) == 4 * jobs:
                yield waiting[0].result()
            waiting.append(pool.submit(work, path))
        while waiting:
            yield waiting[0].result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _outcome(classify: Classify, path: str) -> output.Record:
    shown = click.format_filename(path)
    try:
        return {"path": shown, **classify(os.path.basename(shown), pictures.read(path))}
    except OSError as error:
        code, message = "unreadable", error.strerror or str(error)
    except RequestError as error:
        code, message = error.code, str(error)
    return {"path": shown, "error": {"code": code, "message": message}}


def _on_a_server(url: str, token: str | None) -> tuple[list[str], Classify]:
    # Imported here, like all that serving has no use for.
    from lookbook.cli.client import Client

    client = Client(url, token)
    return client.model()["labels"], client.classify


def _on_the_spot(folder: Path, jobs: int) -> tuple[list[str], Classify]:
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


def _bar(total: int) -> AbstractContextManager[Callable[[], object]]:
    """What moves the progress bar by one, where there is a terminal to see it and something to wait for."""
    if total == 1 or not sys.stderr.isatty():
        return nullcontext(lambda: None)
    from lookbook.cli.progress import bar

    return bar(total)


def _complain(line: str) -> None:
    # Not click.echo(): it would write past the progress bar.
    print(f"lookbook: {output.printable(line)}", file=sys.stderr, flush=True)
