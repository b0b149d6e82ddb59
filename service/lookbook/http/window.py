"""The model version and the days that a query is about. Tests: tests/unit/test_quality_api.py."""

import re
from datetime import date
from typing import Any

from werkzeug.datastructures import MultiDict

from lookbook.errors import InvalidRequest
from lookbook.http.components import components
from lookbook.http.json_body import read_text
from lookbook.quality import Window, first_whole_day, today

DEFAULT_DAYS = 28
MAX_DAYS = 92
MAX_VERSIONS = 10  # evaluated together
PARAMETERS = ("model_version", "since", "until")

_EPOCH = date(1970, 1, 1)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def read_window(arguments: MultiDict[str, str]) -> Window:
    """The window, without days from which predictions have expired; raises InvalidRequest."""
    until = _day("until", arguments.get("until"), today())
    since = _day("since", arguments.get("since"), until - DEFAULT_DAYS + 1)
    if since > until and "until" not in arguments:
        raise InvalidRequest("since is in the future: give a day that has begun, in UTC")
    if not 0 <= until - since < MAX_DAYS:
        raise InvalidRequest(f"since must be at most {MAX_DAYS - 1} days before until, and not after it")
    since = max(since, first_whole_day(components().settings.retention))
    return Window(*read_model(arguments.get("model_version")), since, until)


def read_windows(arguments: MultiDict[str, str]) -> list[Window]:
    """A window for each `model_version` that is given; raises InvalidRequest."""
    window = read_window(arguments)
    given = arguments.getlist("model_version")
    if len(given) > MAX_VERSIONS:
        raise InvalidRequest(f"model_version can be given at most {MAX_VERSIONS} times")
    models = dict.fromkeys(map(read_model, given)) or [window.model]
    return [Window(*model, window.since, window.until) for model in models]


def read_model(text: str | None, what: str = "model_version") -> tuple[str, str]:
    """The name and version in `text`, or those of the served model if `text` is None."""
    bundle = components().classifier.bundle
    if text is None:
        return bundle.name, bundle.version
    name, _, version = read_text(what, text).rpartition("/")
    if not version:
        raise InvalidRequest(f"{what} must be a version such as {bundle.version}, or <name>/<version>")
    return name or bundle.name, version


def model_json(name: str, version: str) -> dict[str, Any]:
    return {"name": name, "version": version}


def _day(name: str, text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        return (date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        raise InvalidRequest(f"{name} must be a day such as 2026-01-31") from None
