"""The OpenAPI document, which describes every endpoint. Tests: tests/unit/test_openapi.py."""

import functools
import json
from pathlib import Path
from typing import Any

from lookbook import __version__


@functools.cache
def document() -> dict[str, Any]:
    """The document for this version."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("openapi.json").read_text())
    found["info"]["version"] = __version__
    return found


def resolved(entry: dict[str, Any]) -> dict[str, Any]:
    """The component that an entry refers to, or the entry itself."""
    if "$ref" not in entry:
        return entry
    _, _, kind, name = entry["$ref"].split("/")
    found: dict[str, Any] = document()["components"][kind][name]
    return found
