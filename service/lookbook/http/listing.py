"""The query of a listing, and the URL of its next page."""

import re
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

from werkzeug.datastructures import MultiDict

from lookbook.errors import InvalidRequest
from lookbook.http.lookup import read_id
from lookbook.prediction import first_id
from lookbook.store import Query

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000

_GROUND_TRUTHS = ("none", "any", "right", "wrong")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def read_query(arguments: MultiDict[str, str], names: frozenset[str]) -> Query:
    """The query of `arguments`; raises InvalidRequest for a bad value or a name not among `names`."""
    refuse_unknown(arguments, *names)
    return Query(
        limit=read_limit(arguments.get("limit"), DEFAULT_LIMIT, MAX_LIMIT),
        after=read_cursor(arguments.get("cursor")),
        label=arguments.get("label"),
        since=_moment("since", arguments.get("since")),
        until=_moment("until", arguments.get("until")),
        ground_truth=_ground_truth(arguments.get("ground_truth")),
    )


def next_url(arguments: MultiDict[str, str], cursor: UUID) -> str:
    """The same listing beginning at `cursor`, relative to the URL of this one."""
    return f"?{urlencode({**arguments.to_dict(), 'cursor': str(cursor)})}"


def refuse_unknown(arguments: MultiDict[str, str], *names: str) -> None:
    """Raises InvalidRequest if a parameter is not among `names`."""
    for name in arguments:
        if name not in names:
            raise InvalidRequest(f"unknown query parameter '{name}'; the parameters are {', '.join(sorted(names))}")


def read_limit(text: str | None, default: int, maximum: int) -> int:
    """The limit; raises InvalidRequest if it is not from 1 to `maximum`."""
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= maximum):
        raise InvalidRequest(f"limit must be a whole number from 1 to {maximum}")
    return int(text)


def read_cursor(text: str | None) -> UUID | None:
    if text is None:
        return None
    id = read_id(text)
    if id is None:
        raise InvalidRequest("cursor must come from the `next` or the Link header of an earlier page")
    return id


def _ground_truth(text: str | None) -> str | None:
    if text not in (None, *_GROUND_TRUTHS):
        raise InvalidRequest(f"ground_truth must be one of {', '.join(_GROUND_TRUTHS)}")
    return text


def _moment(name: str, text: str | None) -> UUID | None:
    moment = read_time(name, text)
    return first_id(moment) if moment else None


def read_time(name: str, text: str | None) -> datetime | None:
    """The time, in UTC; raises InvalidRequest."""
    if text is None:
        return None
    try:
        # An unescaped plus sign arrives as a space.
        text = re.sub(r" (\d\d:\d\d)$", r"+\1", text)
        if not _TIME.fullmatch(text):
            raise ValueError
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{name} must be an RFC 3339 time such as 2026-01-31T12:00:00Z") from None
