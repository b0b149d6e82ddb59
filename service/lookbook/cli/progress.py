"""A progress bar on standard error."""

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
    """Gives a function that moves the bar by one. Other output appears above the bar."""
    columns = (BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(), "left")
    with Progress(
        *columns,
        # Long lines are not wrapped, so that they can be copied.
        console=Console(stderr=True, soft_wrap=True),
        # Output that goes to a file must not appear on the terminal.
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
    ) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)
