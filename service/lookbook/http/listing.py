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

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def read_query(arguments: MultiDict[str, str], names: frozenset[str]) -> Query:
    """The query of `arguments`; raises InvalidRequest for a bad value or a name not among `names`."""
    for name in arguments:
        if name not in names:
            raise InvalidRequest(f"unknown query parameter '{name}'; the parameters are {', '.join(sorted(names))}")
    return Query(
        limit=_limit(arguments.get("limit")),
        after=_cursor(arguments.get("cursor")),
        label=arguments.get("label"),
        since=_moment("since", arguments.get("since")),
        until=_moment("until", arguments.get("until")),
    )


def next_url(arguments: MultiDict[str, str], cursor: UUID) -> str:
    """The same listing beginning at `cursor`, relative to the URL of this one."""
    return f"?{urlencode({**arguments.to_dict(), 'cursor': str(cursor)})}"


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidRequest(f"limit must be a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def _cursor(text: str | None) -> UUID | None:
    if text is None:
        return None
    id = read_id(text)
    if id is None:
        raise InvalidRequest("cursor must come from the `next` or the Link header of an earlier page")
    return id


def _moment(name: str, text: str | None) -> UUID | None:
    if text is None:
        return None
    try:
        # An unescaped plus sign arrives as a space.
        text = re.sub(r" (\d\d:\d\d)$", r"+\1", text)
        if not _TIME.fullmatch(text):
            raise ValueError
        return first_id(datetime.fromisoformat(text.upper()).astimezone(UTC))
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{name} must be an RFC 3339 time such as 2026-01-31T12:00:00Z") from None
