"""Libraries that come with an extra of the package. Tests: tests/unit/test_build.py, tests/unit/test_cluster.py."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lookbook.errors import LookbookError


@contextmanager
def extra(name: str, *libraries: str) -> Iterator[None]:
    """Wraps an import of the libraries: if they are not installed, says how to install them."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in libraries:
            raise
        raise LookbookError(
            f"this command needs {' and '.join(libraries)}: "
            f'in a checkout of Lookbook, run {sys.executable} -m pip install ".[{name}]"'
        ) from error
