"""What is checked before the server starts, so that a mistake is reported in one line.

Tests: tests/unit/test_cli.py, tests/unit/test_tracing.py, tests/server/test_process.py.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

from lookbook.errors import SettingsError
from lookbook.http.tokens import Tokens
from lookbook.settings import Settings


def check(settings: Settings) -> None:
    """Raises SettingsError if the tokens file or tracing cannot be used."""
    if settings.tokens_file:
        _check_tokens(settings.tokens_file)
    if settings.otlp_endpoint:
        _check_tracing(settings.otlp_endpoint)


def _check_tokens(path: str) -> None:
    try:
        tokens = Tokens(Path(path))
    except OSError as error:
        raise SettingsError(f"LOOKBOOK_TOKENS_FILE={path}: {error.strerror}") from error
    except SettingsError as error:
        raise SettingsError(f"LOOKBOOK_TOKENS_FILE={error}") from error
    if not tokens:
        sys.stderr.write(
            f"lookbook: LOOKBOOK_TOKENS_FILE={path} has no tokens; every request will be refused: write one per line\n"
        )


def _check_tracing(endpoint: str) -> None:
    try:
        found = find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        found = None
    if not found:
        raise SettingsError(
            f"LOOKBOOK_OTLP_ENDPOINT={endpoint}: tracing is not installed: "
            f'in a checkout of Lookbook, run {sys.executable} -m pip install ".[otel]"'
        )
