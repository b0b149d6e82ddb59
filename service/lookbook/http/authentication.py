"""Bearer tokens are required if the server has a tokens file."""

from pathlib import Path

from flask import Flask, current_app, g

from lookbook.errors import Forbidden, Unauthorized
from lookbook.http.guards import guard
from lookbook.http.roles import Role, roles_of
from lookbook.http.routing import request
from lookbook.http.tokens import Token, Tokens

_MISSING = "a bearer token is required: send Authorization: Bearer <token>"
_INVALID = "the bearer token is not valid: check it, or ask the operator for a new one"


def init_app(app: Flask, tokens_file: str) -> None:
    """Require a token from the file, with a role that the endpoint allows; an empty path requires none.

    Raises OSError if the file cannot be read, SettingsError if a line is malformed.
    """
    if not tokens_file:
        return
    tokens = Tokens(Path(tokens_file))

    def authenticate() -> None:
        given = _bearer_token()
        token = tokens.find(given)
        if token is None:
            raise Unauthorized(_INVALID if given else _MISSING)
        _authorize(token)
        g.token = token

    guard(app, authenticate)


def token_name() -> str:
    """The name of the request's token; empty if it has none, or if no token is required."""
    token: Token | None = g.get("token")
    return token.name if token else ""


def has_role(role: Role) -> bool:
    """Whether the request's token has the role, or no token is required."""
    token: Token | None = g.get("token")
    return token is None or role in token.roles


def _authorize(token: Token) -> None:
    """Raises Forbidden if the token has none of the roles that the endpoint allows."""
    if request.endpoint is None:
        return  # there is no such path, or it does not support the method
    wanted = roles_of(current_app.view_functions[request.endpoint])
    if not wanted & token.roles:
        names = " or ".join(f"'{role}'" for role in sorted(wanted))
        raise Forbidden(f"this token does not have the role {names}: use one that has it, or ask the operator")


def _bearer_token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
