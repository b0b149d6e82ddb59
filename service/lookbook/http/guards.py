"""Guards: checks that a request must pass before its body is read. Tests: tests/unit/test_authentication.py."""

from collections.abc import Callable

from flask import Flask, current_app

from lookbook.http.routing import request


def guard(app: Flask, check: Callable[[], None]) -> None:
    """Call `check` for each request, except for public endpoints; it raises a RequestError to refuse the request.

    Checks run in the order in which they are added.
    """
    if "guards" not in app.extensions:
        app.extensions["guards"] = []
        # One hook for all of them, because Flask spends time on each hook.
        app.before_request(_run_checks)
    app.extensions["guards"].append(check)


def _run_checks() -> None:
    if not request.is_public:
        for check in current_app.extensions["guards"]:
            check()
