"""What a token may do. Tests: tests/unit/test_authentication.py."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

_View = TypeVar("_View", bound=Callable[..., Any])


class Role(StrEnum):
    """A token has some of these roles; none includes another."""

    READ = "read"
    PREDICT = "predict"
    REVIEW = "review"
    ADMIN = "admin"


ALL_ROLES = frozenset(Role)


def needs(*roles: Role) -> Callable[[_View], _View]:
    """Declare that a request to the route needs a token with one of these roles."""

    def state(view: _View) -> _View:
        view.roles = frozenset(roles)  # type: ignore[attr-defined]
        return view

    return state


def roles_of(view: Callable[..., Any]) -> frozenset[Role]:
    """The roles of which a token needs one; if there are none, no token is sufficient."""
    found: frozenset[Role] = getattr(view, "roles", frozenset())
    return found
