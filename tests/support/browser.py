"""The page in a real Chromium, used as a person would use it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

# Tests may run as root, and the browser talks to nothing but the service.
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
    """Path of Chromium, None if it is not installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium, which must be installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path(), args=_OPTIONS)
        yield browser
        browser.close()


def choose(page: Page, *paths: Path) -> Locator:
    """The cards, after these files were chosen."""
    page.set_input_files("#files", paths)
    return page.locator(".card")


def expect_tally(page: Page, text: str) -> None:
    expect(page.locator("#tally")).to_have_text(text)


def expect_history(page: Page, text: str) -> None:
    """Wait for the line at the end of the history."""
    expect(page.locator("#history-status")).to_have_text(text)


def history_ids(page: Page) -> list[str]:
    return [str(id) for id in page.locator(".tile").evaluate_all("tiles => tiles.map(tile => tile.hash.slice(1))")]


def error_shown(response: requests.Response) -> str:
    """The sentence that the page makes of the service's error message."""
    message: str = response.json()["error"]["message"]
    return f"{message[0].upper()}{message[1:].removesuffix('.')}."


def copy_command(page: Page) -> str:
    """The command that the open dialog copies."""
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator("#prediction .status")).to_contain_text("Copied.")
    return str(page.evaluate("navigator.clipboard.readText()"))
