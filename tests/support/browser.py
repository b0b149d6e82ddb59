"""A real Chromium, for what a person sees."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

# It may run as root, and has nobody to talk to but the service.
_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def path() -> str | None:
    """Where Chromium is, None where it is not."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """It is up to the caller that it is installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path(), args=_OPTIONS)
        yield browser
        browser.close()
