"""Each answer that a test gets is held against /openapi.json: status, headers, content type and schema."""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import requests
from lookbook.http.openapi.endpoints import document, resolved

# What is said of all calls at once: paths that are not there, and what is refused before a call is looked at.
ELSEWHERE = {401: "unauthorized", 403: "crossSite", 404: "notFound", 503: "unavailable"}


def check(method: str, url: str, status: int, headers: Mapping[str, str], body: bytes | None) -> None:
    """Raises AssertionError for an answer that is not described; a body of None is one that is not read here."""
    path = urlsplit(url).path
    call = _call(path, "get" if method == "HEAD" else method.lower())
    what = f"{method} {path}: {status}"
    if call is None and method == "OPTIONS" and status == 200:
        assert headers["Allow"], what
        return
    if call is None and status == 405:
        assert headers["Allow"], what
        answer = {"content": resolved({"$ref": f"#/components/responses/notFound{_form(path)}"})["content"]}
    elif call is None:
        assert status in ELSEWHERE, f"{what} is no answer to what is not described"
        answer = resolved({"$ref": f"#/components/responses/{ELSEWHERE[status]}{_form(path)}"})
    else:
        assert str(status) in call["responses"], f"{what} is not described"
        answer = resolved(call["responses"][str(status)])
    for name, header in answer.get("headers", {}).items():
        assert name in headers or not header.get("required"), f"{what}: no {name}"
        if name in headers:
            _validate(header["schema"], _number(headers[name]), f"{what}: {name}")
    _check_body(answer.get("content", {}), headers, None if method == "HEAD" else body, what)


def _check_body(content: Mapping[str, Any], headers: Mapping[str, str], body: bytes | None, what: str) -> None:
    if not content:
        assert not body, f"{what}: a body that is not described"
        return
    kind = headers["Content-Type"].partition(";")[0]
    assert kind in content, f"{what}: {kind} is not described"
    if body is None:
        return
    if kind == "application/json":
        _validate(content[kind]["schema"], json.loads(body), what)
    elif content[kind]["schema"].get("format") != "binary":
        _validate(content[kind]["schema"], body.decode(), what)


def _call(path: str, method: str) -> dict[str, Any] | None:
    # One with fewer parameters comes first: /api/tasks/upload is no /api/tasks/{id}.
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
    """Check each answer that the requests library gets from a server at one of the URLs."""
    send = requests.Session.send

    def checked(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        answer = send(self, request, **options)
        parts = urlsplit(str(request.url))
        if f"{parts.scheme}://{parts.netloc}" in urls:
            body = None if options.get("stream") else answer.content
            check(str(request.method), str(request.url), answer.status_code, answer.headers, body)
        return answer

    requests.Session.send = checked  # type: ignore[method-assign]
