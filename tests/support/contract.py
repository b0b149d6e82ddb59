"""Checks every response that a test gets against /openapi.json: status, headers, content type, and schema."""

import functools
import json
import re
from collections.abc import Container, Mapping
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import requests
from flask.testing import FlaskClient
from lookbook.http.openapi.document import document, resolved
from requests.structures import CaseInsensitiveDict
from werkzeug.test import TestResponse

# Responses of paths that are not described, and of requests that are refused before their path is looked at.
ELSEWHERE = {401: "unauthorized", 403: "forbidden", 404: "notFound", 503: "unavailable"}


class Client(FlaskClient):
    """Checks each response, except those of `undescribed` paths, and closes it once it is read, as a server does."""

    def __init__(self, *args: Any, undescribed: Container[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._undescribed = undescribed

    def open(self, *args: Any, buffered: bool = True, **kwargs: Any) -> TestResponse:
        response = super().open(*args, buffered=buffered, **kwargs)
        sent = response.request
        if sent.path not in self._undescribed:
            headers = CaseInsensitiveDict(response.headers.items())
            check(sent.method, sent.path, response.status_code, headers, response.data if buffered else None)
        return response


def check(method: str, url: str, status: int, headers: Mapping[str, str], body: bytes | None) -> None:
    """Raises AssertionError for a response that is not described; a body of None is one that is not read here."""
    path = urlsplit(url).path
    what = f"{method} {path}: {status}"
    operation = _operation(path, "get" if method == "HEAD" else method.lower())
    if operation is None and method == "OPTIONS" and status == 200:
        assert headers["Allow"], what
        return
    described = _described(operation, status, path, what)
    if operation is None and status == 405:
        assert headers["Allow"], what
    for name, header in described.get("headers", {}).items():
        assert name in headers or not header.get("required"), f"{what}: no {name}"
        if name in headers:
            _validate(header["schema"], _number(headers[name]), f"{what}: {name}")
    _check_body(described.get("content", {}), headers, None if method == "HEAD" else body, what)


def _described(operation: Mapping[str, Any] | None, status: int, path: str, what: str) -> Mapping[str, Any]:
    """The response's description."""
    if operation is not None:
        assert str(status) in operation["responses"], f"{what} is not described"
        return resolved(operation["responses"][str(status)])
    if status == 405:
        return {"content": resolved({"$ref": f"#/components/responses/notFound{_form(path)}"})["content"]}
    assert status in ELSEWHERE, f"{what} is no response of a path that is not described"
    return resolved({"$ref": f"#/components/responses/{ELSEWHERE[status]}{_form(path)}"})


def _check_body(content: Mapping[str, Any], headers: Mapping[str, str], body: bytes | None, what: str) -> None:
    if not content:
        assert not body, f"{what}: the body is not described"
        return
    kind = headers["Content-Type"].partition(";")[0]
    assert kind in content, f"{what}: {kind} is not described"
    if body is None:
        return
    if kind == "application/json":
        _validate(content[kind]["schema"], json.loads(body), what)
    elif content[kind]["schema"].get("format") != "binary":
        _validate(content[kind]["schema"], body.decode(), what)


def _operation(path: str, method: str) -> dict[str, Any] | None:
    # Paths with fewer parameters come first: /api/tasks/upload is not /api/tasks/{id}.
    for template in sorted(document()["paths"], key=lambda template: template.count("{")):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", re.escape(template).replace(r"\{", "{").replace(r"\}", "}")), path):
            found: dict[str, Any] | None = document()["paths"][template].get(method)
            return found
    return None


def _form(path: str) -> str:
    return "V2" if re.match("/v2(/|$)", path) else ""


def _number(text: str) -> str | int:
    return int(text) if text.isdigit() else text


def _validate(schema: Mapping[str, Any], value: object, what: str) -> None:
    error = next(_validator(json.dumps(schema)).iter_errors(value), None)
    assert error is None, f"{what}: {error}"


@functools.cache
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    whole = {**json.loads(schema), "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def check_requests(urls: set[str]) -> None:
    """Check each response that the requests library gets from a server at one of the URLs."""
    send = requests.Session.send

    def checked(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        response = send(self, request, **options)
        parts = urlsplit(str(request.url))
        if f"{parts.scheme}://{parts.netloc}" in urls:
            body = None if options.get("stream") else response.content
            check(str(request.method), str(request.url), response.status_code, response.headers, body)
        return response

    requests.Session.send = checked  # type: ignore[method-assign]
