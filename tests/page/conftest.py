"""A browser, a service, and a fixture that opens the service's page in the browser."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import browser
from tests.support.requirements import lacking
from tests.support.running import Service

FAILED_LOAD = "Failed to load resource: "
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
# Failed loads that are no fault of the page: a service with a slow disk responds with 503 and the page tries again;
# the machine's network changes when containers start or stop.
TOLERATED = ("status of 503", NETWORK_CHANGED)

# The machine may be busy.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if not browser.path():
        lacking("Chromium is not installed; the page tests need it: `apt-get install -y chromium`", "BROWSER")
    with browser.chromium() as started:
        yield started


@pytest.fixture
def service(serve: Callable[..., Service]) -> Service:
    return serve().ready()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a URL in a fresh browser context; `failures` lists the failed loads that the test expects.

    Fails the test if anything else appears in the console.
    """
    pages: list[Page] = []
    unexpected: list[str] = []
    network_changes: list[str] = []

    def open_page(url: str, failures: tuple[str, ...] = (), **options: Any) -> Page:
        def check(text: str) -> None:
            if not (text.startswith(FAILED_LOAD) and any(reason in text for reason in (*failures, *TOLERATED))):
                unexpected.append(text)
            if NETWORK_CHANGED in text:
                network_changes.append(text)

        page = chromium.new_context(**options).new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: check(message.text))
        # Playwright does not wait for Chromium to hand over file choosers, so ask for them early.
        page.on("filechooser", lambda _: None)
        page.on("pageerror", lambda error: check(str(error)))
        pages.append(page)
        page.goto(url)
        if network_changes:
            page.reload()
        return page

    yield open_page
    for page in pages:
        page.context.close()
    assert unexpected == []
