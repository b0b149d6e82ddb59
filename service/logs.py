"""Log lines as JSON on standard error."""

from typing import Any

from pythonjsonlogger.json import JsonFormatter


class Formatter(JsonFormatter):
    """Time in UTC, level, logger and message, then what the call gave as `extra`."""

    def __init__(self, **_: Any) -> None:
        super().__init__(
            "{asctime}{levelname}{name}{message}",
            style="{",
            datefmt="%Y-%m-%dT%H:%M:%S%z",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )


CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "service.logs.Formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        # service.store.connection says in one line what the driver says each second in many.
        "cassandra": {"level": "CRITICAL"},
        # gunicorn's own logger: one handler is enough.
        "gunicorn.error": {"level": "INFO", "propagate": True, "handlers": []},
    },
}
