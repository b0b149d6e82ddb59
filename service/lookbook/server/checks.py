"""What is checked before the server starts, so that a mistake is reported in one line.

Tests: tests/unit/test_cli.py, tests/unit/test_tracing.py, tests/server/test_process.py.
"""

import socket
import sys
from importlib.util import find_spec
from pathlib import Path

from lookbook.errors import SettingsError
from lookbook.settings import Settings


def check(settings: Settings) -> None:
    """Raises SettingsError if the address, the tokens file or tracing cannot be used."""
    _check_address(settings.bind)
    if settings.tokens_file:
        _check_tokens(settings.tokens_file)
    if settings.otlp_endpoint:
        _check_tracing(settings.otlp_endpoint)


def _check_address(bind: str) -> None:
    """Bind once: gunicorn would try five times and log eleven lines."""
    host, _, port = bind.rpartition(":")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host.strip("[]"), int(port)))
        except OSError as error:
            raise SettingsError(f"LOOKBOOK_BIND={bind}: {error.strerror}") from error


def _check_tokens(path: str) -> None:
    try:
        tokens = Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"LOOKBOOK_TOKENS_FILE={path}: {error.strerror}") from error
    if not tokens.strip():
        sys.stderr.write(f"lookbook: LOOKBOOK_TOKENS_FILE={path} has no tokens; every request will be refused\n")


def _check_tracing(endpoint: str) -> None:
    try:
        found = find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        found = None
    if not found:
        raise SettingsError(
            f'LOOKBOOK_OTLP_ENDPOINT={endpoint}: tracing is not installed; install it with pip install "lookbook[otel]"'
        )
