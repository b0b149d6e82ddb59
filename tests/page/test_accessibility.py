"""Every state of the page with the keyboard, at every width, in light and dark, checked with axe-core."""

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import choose, expect_history, expect_tally
from tests.support.places import GOLDEN, PHOTOS
from tests.support.running import Service
from tests.support.weeks import fill_weeks, judge

Visit = Callable[..., Page]


def press_until_focused(page: Page, wanted: Locator, key: str = "Tab") -> None:
    for _ in range(20):
        page.keyboard.press(key)
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{key} does not reach {wanted}")


def check(page: Page) -> None:
    """Nothing overflows sideways, and axe-core finds nothing."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = Axe().run(page).response["violations"]
    assert [(item["id"], item["impact"], [node["html"] for node in item["nodes"]]) for item in found] == []


def test_the_keyboard_is_enough(service: Service, visit: Visit) -> None:
    page = visit(service.url)
    expect_history(page, "No predictions yet.")
    press_until_focused(page, page.get_by_role("button", name="Choose images"))
    with page.expect_file_chooser() as opened:
        page.keyboard.press("Enter")
    opened.value.set_files(GOLDEN)
    expect_tally(page, "3 images: 3 classified")
    expect(page.locator("#announcement")).to_have_text("3 images: 3 classified")
    link = page.locator(".card a").first
    press_until_focused(page, link)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=link.inner_text())
    expect(dialog.get_by_role("heading", level=2)).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()
    press_until_focused(page, page.get_by_label("Label"))
    page.keyboard.type("Bag")
    expect(page.locator(".tile")).to_have_count(1)
    press_until_focused(page, page.locator(".tile"))
    page.keyboard.press("Enter")
    press_until_focused(page, page.get_by_role("button", name="Delete", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep", exact=True)).to_be_focused()
    press_until_focused(page, page.get_by_role("button", name="Delete permanently"), "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#history")).to_be_focused()
    expect_history(page, "No predictions match the filter.")
    assert len(service.all_ids()) == 2


@pytest.mark.parametrize("width", [360, 2560])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_is_accessible(
    serve: Callable[..., Service], visit: Visit, tmp_path: Path, scheme: str, width: int
) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    (tmp_path / f"{'long' * 50}.jpg").write_bytes(b"not an image")
    service = serve(tokens_file=tmp_path / "tokens").ready()
    page = visit(
        service.url,
        ("status of 401", "status of 415", "status of 404"),
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        reduced_motion="reduce",
    )
    channels = page.evaluate("getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(channels) < 64) == (scheme == "dark")
    expect(page.locator("#token")).to_be_visible()
    check(page)
    page.keyboard.type("secret")
    page.keyboard.press("Enter")
    expect_history(page, "No predictions yet.")
    check(page)
    choose(page, *GOLDEN, PHOTOS / "coat.jpg", tmp_path / f"{'long' * 50}.jpg")
    expect_tally(page, "5 images: 4 classified, 1 failed")
    check(page)
    page.locator(".tile").first.click()
    expect(page.get_by_role("button", name="Copy as curl")).to_be_visible()
    check(page)
    page.get_by_role("button", name="Delete", exact=True).click()
    check(page)
    page.goto(f"{service.url}/#00000000-0000-1000-8000-000000000000")
    expect(page.get_by_role("dialog", name="Prediction not found")).to_be_visible()
    check(page)
    page.keyboard.press("Escape")
    page.get_by_label("Label").select_option("Coat")
    page.get_by_label("Before").fill("2025-01-01T00:00")
    expect_history(page, "No predictions match the filter.")
    check(page)


@pytest.mark.parametrize(("scheme", "width"), [("dark", 360), ("light", 2560)])
def test_review_and_quality_are_accessible(
    serve: Callable[..., Service], visit: Visit, tmp_path: Path, scheme: str, width: int
) -> None:
    truths = fill_weeks(tmp_path / "serve.sqlite", days=2, per_day=20)
    service = serve().ready()
    page = visit(service.url, color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    page.get_by_role("link", name="Quality").click()
    expect(page.get_by_role("region", name="Drift")).to_contain_text("Learning")
    check(page)
    page.get_by_role("link", name="Review", exact=True).click()
    field = page.get_by_role("combobox", name="It shows")
    expect(field).to_be_focused()
    expect(page.locator(".desk .frame img")).to_be_visible()
    check(page)
    page.keyboard.type("Something new")
    check(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Who is judging?")).to_be_visible()
    check(page)
    page.keyboard.press("Enter")
    expect(page.locator("[data-view=review] .result")).to_contain_text("You said Something new.")
    expect(field).to_be_focused()
    check(page)
    press_until_focused(page, page.get_by_role("button", name="Unclear"))
    press_until_focused(page, page.get_by_role("button", name="Undo"), "Shift+Tab")
    page.keyboard.press("Enter")
    for id, label in truths.items():
        judge(service.url, id, label)
    page.get_by_role("link", name="Quality").click()
    matrix = page.get_by_role("region", name="Confusion matrix", exact=True)
    expect(matrix.get_by_role("img")).to_be_visible()
    for summary in page.locator(".panels summary").all():
        summary.click()
    check(page)
    page.get_by_role("link", name="Classify").click()
    page.locator(".tile").first.click()
    page.get_by_text("All judgments").click()
    check(page)


def test_the_api_description_is_accessible(service: Service, visit: Visit) -> None:
    for scheme in ("light", "dark"):
        for width in (360, 1280):
            check(visit(f"{service.url}/docs", color_scheme=scheme, viewport={"width": width, "height": 800}))
