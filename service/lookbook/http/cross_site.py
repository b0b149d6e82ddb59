"""Pages of other sites must not write on behalf of the person who looks at them."""

from flask import Flask, request

from lookbook.errors import CrossSite
from lookbook.http.guards import guard

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OTHER_SITES = ("cross-site", "same-site")


def init_app(app: Flask) -> None:
    """Refuse writes that a browser sends for another site's page."""
    guard(app, lambda: None if request.method in _SAFE_METHODS else refuse_other_sites())


def refuse_other_sites() -> None:
    """Raises CrossSite. A GET that changes something calls this itself."""
    if request.headers.get("Sec-Fetch-Site") in _OTHER_SITES:
        raise CrossSite(
            "requests from pages of other sites are not allowed: use Lookbook's own page, or a client "
            "that is not a browser"
        )
