"""What tests need from the machine."""

import os
from typing import NoReturn

import pytest


def lacking(line: str, variable: str = "CASSANDRA") -> NoReturn:
    """Skip because something is missing, or fail if the environment variable is "required", as in CI."""
    if os.environ.get(variable) == "required":
        pytest.fail(line)
    pytest.skip(line)
