"""The dialog for one prediction, and its address."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import choose, copy_command, expect_history, expect_tally, history_ids
from tests.support.places import BAG, GOLDEN
from tests.support.running import Service

Visit = Callable[..., Page]


@pytest.fixture
def prediction(service: Service) -> dict[str, Any]:
    stored: dict[str, Any] = service.send(BAG.read_bytes()).json()
    return stored


def similar(id: str) -> str:
    """An id that differs in its last digit."""
    return f"{id[:-1]}{(int(id[-1], 16) + 1) % 16:x}"


def test_a_prediction_has_an_address(service: Service, prediction: dict[str, Any], visit: Visit) -> None:
    page = visit(f"{service.url}/#{prediction['id']}", ("status of 404",))
    dialog = page.get_by_role("dialog", name="Bag")
    expect(dialog).to_contain_text("fashion-mnist-mlp 2.2.0")
    expect(dialog.get_by_role("img")).to_have_js_property("naturalWidth", 28)
    page.reload()
    expect(dialog).to_contain_text(prediction["id"])
    expect(page).to_have_title("Bag · Lookbook")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(f"{service.url}/")
    expect(page).to_have_title("Lookbook")
    page.locator(".tile").click()
    expect(page).to_have_url(f"{service.url}/#{prediction['id']}")
    expect(dialog).to_be_visible()
    page.go_back()
    expect(dialog).to_be_hidden()
    unknown = similar(prediction["id"])
    page.goto(f"{service.url}/#{unknown}")
    expect(page.get_by_role("dialog", name="Prediction not found")).to_contain_text(unknown)


def test_the_dialog_follows_an_address_that_changes_quickly(
    service: Service, prediction: dict[str, Any], visit: Visit
) -> None:
    """The dialog's close event comes with the next frame: on a busy machine, after the address has changed again."""
    page = visit(f"{service.url}/#{prediction['id']}", ("status of 404",))
    expect(page.get_by_role("dialog", name="Bag")).to_be_visible()
    unknown = similar(prediction["id"])
    page.evaluate(
        """(id) => {
            addEventListener("hashchange", () => { location.hash = id; }, {once: true});
            location.hash = "";
        }""",
        unknown,
    )
    expect(page.get_by_role("dialog", name="Prediction not found")).to_contain_text(unknown)
    expect(page).to_have_url(f"{service.url}/#{unknown}")


def close_with_button(page: Page) -> None:
    page.get_by_role("button", name="Close").click()


def close_with_escape(page: Page) -> None:
    page.keyboard.press("Escape")


def close_with_backdrop(page: Page) -> None:
    page.mouse.click(5, 5)


@pytest.mark.parametrize("close", [close_with_button, close_with_escape, close_with_backdrop])
@pytest.mark.usefixtures("prediction")
def test_back_leaves_the_page_once_the_dialog_is_closed(
    service: Service, visit: Visit, close: Callable[[Page], None]
) -> None:
    page = visit(f"{service.url}/docs")
    page.goto(service.url)
    dialog = page.get_by_role("dialog", name="Bag")
    for _ in range(2):
        page.locator(".tile").click()
        expect(dialog).to_be_visible()
        close(page)
        expect(page).to_have_url(f"{service.url}/")
        expect(dialog).to_be_hidden()
    page.go_back()
    expect(page).to_have_url(f"{service.url}/docs")


def test_back_leaves_the_page_after_reload_forward_and_several_predictions(
    service: Service, prediction: dict[str, Any], visit: Visit
) -> None:
    page = visit(f"{service.url}/docs", ("status of 404",))
    page.goto(service.url)
    dialog = page.get_by_role("dialog", name="Bag")
    page.locator(".tile").click()
    expect(dialog).to_be_visible()
    page.reload()
    expect(dialog).to_be_visible()
    close_with_button(page)
    expect(page).to_have_url(f"{service.url}/")
    page.go_forward()
    expect(dialog).to_be_visible()
    page.evaluate("id => { location.hash = id; }", similar(prediction["id"]))
    expect(page.get_by_role("dialog", name="Prediction not found")).to_be_visible()
    close_with_button(page)
    expect(page).to_have_url(f"{service.url}/")
    page.go_back()
    expect(page).to_have_url(f"{service.url}/docs")


def test_a_prediction_is_deleted_after_confirmation(service: Service, visit: Visit) -> None:
    page = visit(service.url)
    choose(page, *GOLDEN)
    expect_tally(page, "3 images: 3 classified")
    page.locator(".tile", has_text="Bag").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(page.get_by_role("button", name="Delete", exact=True)).to_be_focused()
    assert len(service.all_ids()) == 3
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete permanently").click()
    expect_history(page, "End of the list: 2 predictions.")
    expect_tally(page, "2 images: 2 classified")
    expect(page.locator("#announcement")).to_have_text("The prediction was deleted.")
    expect(page).to_have_url(f"{service.url}/")
    assert set(history_ids(page)) == service.all_ids()


def test_the_copied_command_returns_the_prediction(service: Service, prediction: dict[str, Any], visit: Visit) -> None:
    page = visit(f"{service.url}/#{prediction['id']}", permissions=["clipboard-read", "clipboard-write"])
    command = copy_command(page)
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, timeout=30)
    assert json.loads(ran.stdout) == prediction
