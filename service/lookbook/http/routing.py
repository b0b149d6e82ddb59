"""What follows from the route of a request. Tests: tests/unit/test_authentication.py and tests/unit/test_v2.py."""

from functools import cached_property
from typing import cast

import flask
from flask import Blueprint, current_app


class PublicBlueprint(Blueprint):
    """A blueprint whose endpoints are public: they need no token, are answered under any load, and are not logged."""


class Request(flask.Request):
    @cached_property
    def is_public(self) -> bool:
        """Whether the endpoint is public; unknown paths are not."""
        return isinstance(current_app.blueprints.get(self.blueprint or ""), PublicBlueprint)

    @cached_property
    def blueprints(self) -> list[str]:
        """The endpoint's; for an unknown path, the one with its URL prefix, so that its error handlers respond."""
        if self.url_rule:
            return super().blueprints
        path = f"{self.path}/"
        prefixes = {name: blueprint.url_prefix for name, blueprint in current_app.blueprints.items()}
        return [name for name, prefix in prefixes.items() if prefix and path.startswith(f"{prefix}/")]


request = cast(Request, flask.request)
