"""Bearer tokens are required if the server has a tokens file."""

from pathlib import Path

from flask import Flask, request

from lookbook.errors import Unauthorized
from lookbook.http.guards import guard
from lookbook.http.tokens import Tokens

_MISSING = "a bearer token is required: send Authorization: Bearer <token>"
_INVALID = "the bearer token is not valid: check it, or ask the operator for a new one"


def init_app(app: Flask, tokens_file: str) -> None:
    """Require a token of the file; an empty path requires none. Raises OSError if the file cannot be read."""
    if not tokens_file:
        return
    tokens = Tokens(Path(tokens_file))

    def authenticate() -> None:
        token = _bearer_token()
        if not tokens.accepts(token):
            raise Unauthorized(_INVALID if token else _MISSING)

    guard(app, authenticate)


def _bearer_token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
