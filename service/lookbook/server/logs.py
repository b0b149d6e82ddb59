"""Log lines as JSON on standard error.

Tests: tests/server/test_process.py, tests/server/test_log.py, tests/unit/test_tracing.py.
"""

import logging
from typing import Any

from flask import g, has_request_context
from pythonjsonlogger.json import JsonFormatter

from lookbook.server.stderr import Stderr


class Formatter(JsonFormatter):
    """Formats time with UTC offset, level, logger, message, the call's `extra`, and the current request's trace."""

    def __init__(self, **_: Any) -> None:
        super().__init__(
            "{asctime}{levelname}{name}{message}",
            style="{",
            datefmt="%Y-%m-%dT%H:%M:%S%z",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        super().add_fields(log_data, record, message_dict)
        trace = g.get("trace") if has_request_context() else None
        if trace:
            log_data["trace_id"], log_data["span_id"] = trace.trace_id, trace.span_id


class Handler(logging.StreamHandler[Any]):
    """Says how many lines are missing from the log."""

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        if isinstance(self.stream, Stderr) and self.stream.dropped and (dropped := self.stream.take_dropped()):
            message = "lines missing here: %d, because standard error was not read in time"
            super().emit(logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (dropped,), None))


CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "lookbook.server.logs.Formatter"}},
    "handlers": {"stderr": {"class": "lookbook.server.logs.Handler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        # lookbook.store.cassandra.connection logs in one line what the driver would log every second in many.
        "cassandra": {"level": "CRITICAL"},
        # The root logger writes gunicorn's messages; a second handler would repeat them.
        "gunicorn.error": {"level": "INFO", "propagate": True, "handlers": []},
    },
}
