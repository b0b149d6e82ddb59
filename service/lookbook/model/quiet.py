"""Silence for libraries that write to standard error behind Python's back. Tests: tests/unit/test_classify.py."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Discard warnings and everything that the process writes to standard output and standard error."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        os.dup2(null, 2)
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, copy in enumerate(saved, 1):
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(null)
