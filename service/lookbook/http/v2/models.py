"""Models by name and version; the server has one. Tests: tests/unit/test_v2.py."""

from lookbook.errors import NotFound
from lookbook.http.components import components
from lookbook.model.bundle import Bundle


def find_model(name: str, version: str | None) -> Bundle:
    """The model of that name and, if given, version; raises NotFound."""
    bundle = components().classifier.bundle
    if (name, version or bundle.version) != (bundle.name, bundle.version):
        wanted = f"{name} {version}" if version else name
        raise NotFound(f"model {wanted} not found; this server serves {bundle.name} {bundle.version}")
    return bundle
