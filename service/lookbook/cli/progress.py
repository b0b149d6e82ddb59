"""A progress bar on a terminal's standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "-/s")


@contextmanager
def bar(total: int) -> Iterator[Callable[[], None]]:
    """Gives what moves the bar by one. What is printed meanwhile stands above it."""
    columns = (BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(), "left")
    with Progress(
        *columns,
        # Long lines stay one line for whoever copies them.
        console=Console(stderr=True, soft_wrap=True),
        # Where standard output is no terminal it must not end up on this one.
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
    ) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)
