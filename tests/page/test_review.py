"""Review mode: the keyboard, the next image at once, and what happens when something goes wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from playwright.sync_api import Page, Request, expect

from tests.support.running import Service, until
from tests.support.weeks import fill_weeks

Visit = Callable[..., Page]

# Notes for each image that appears how many milliseconds passed since Enter, up to the frame that shows it.
MEASURE = """() => {
    window.waits = [];
    let pressed = null;
    addEventListener("keydown", (event) => { if (event.key === "Enter") pressed = performance.now(); }, true);
    new MutationObserver(() => {
        const image = document.querySelector(".desk .frame img");
        if (!image?.complete || !image.naturalWidth || pressed === null) return;
        const start = pressed;
        pressed = null;
        requestAnimationFrame(() => requestAnimationFrame(() => waits.push(performance.now() - start)));
    }).observe(document.querySelector(".desk .frame"), {childList: true});
}"""
IMAGES_LEFT = "[data-view=review] .remaining"
RESULT = "[data-view=review] .result"
STATUS = "[data-view=review] .status"


def start(page: Page, name: str | None = "Ana") -> None:
    """Wait until the first images are loaded; answer the question for the name in advance."""
    page.wait_for_load_state("networkidle")
    if name is not None:
        page.evaluate("name => localStorage.setItem('lookbook-annotator', name)", name)
    expect(page.locator(".desk .frame img")).to_be_visible()
    expect(page.get_by_role("combobox", name="It shows")).to_be_focused()


def truths(service: Service) -> dict[str, dict[str, Any] | None]:
    """The ground truth of every prediction, by ID."""
    items = requests.get(f"{service.url}/v1/predictions?limit=1000").json()["items"]
    return {item["id"]: item["ground_truth"] for item in items}


def judged(service: Service) -> list[str]:
    """What the judged images show, the last judgment last."""
    found = [truth for truth in truths(service).values() if truth]
    return [truth.get("label", "unclear") for truth in sorted(found, key=lambda truth: truth["judged_at"])]


def judged_by(page: Page) -> list[str]:
    """A list that grows with the IDs that the page judges."""
    ids: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            ids.append(request.url.split("/")[-2])

    page.on("request", note)
    return ids


@pytest.fixture
def review(serve: Callable[..., Service], visit: Visit, tmp_path: Path) -> Callable[..., tuple[Service, Page]]:
    """A service with so many images to review, and its review mode."""

    def open_page(images: int, failures: tuple[str, ...] = (), **options: Any) -> tuple[Service, Page]:
        fill_weeks(tmp_path / "serve.sqlite", per_day=images)
        service = serve().ready()
        page = visit(f"{service.url}/#review", failures, **options)
        return service, page

    return open_page


def test_the_next_image_appears_within_100_milliseconds(review: Callable[..., tuple[Service, Page]]) -> None:
    """At the 95th percentile, faster than people type, in the server's order."""
    service, page = review(70)
    start(page)
    owner = page.evaluate("sessionStorage.getItem('lookbook-tab')")
    ids = judged_by(page)
    page.evaluate(MEASURE)
    expected: list[str] = []
    for number in range(64):
        if number % 10 == 0:
            # The same reviewer gets the same images again.
            query = {"limit": 10, "annotator": owner}
            until(lambda number=number: len(judged(service)) == number)  # type: ignore[misc]
            items = requests.get(f"{service.url}/v1/reviews", query).json()["items"]
            expected += [item["id"] for item in items]
        page.keyboard.type("dr", delay=40)
        page.keyboard.press("Enter")
        page.wait_for_function("count => waits.length === count", arg=number + 1)
    waits = page.evaluate("waits")
    tail = float(np.percentile(waits, 95))
    print(f"next image after {np.median(waits):.0f} ms, 95th percentile {tail:.0f} ms, {len(waits)} images")
    assert tail < 100
    assert ids == expected[:64]
    until(lambda: judged(service) == ["Dress"] * 64)
    expect(page.locator(IMAGES_LEFT)).to_have_text("6 images left")


def test_the_keyboard_chooses_confirms_and_undoes(review: Callable[..., tuple[Service, Page]]) -> None:
    service, page = review(9)
    start(page)
    said = page.locator(RESULT)
    expect(said).to_be_empty()
    expect(page.locator(".desk .hint")).to_be_empty()
    page.keyboard.press("Enter")
    expect(page.locator(STATUS)).to_have_text("Choose a label first.")
    page.keyboard.press("9")
    expect(page.get_by_role("option", name="Bag")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(said).to_contain_text("You said Ankle boot. The model said ")
    page.keyboard.type("sh")
    page.keyboard.press("Enter")
    expect(said).to_contain_text("You said Shirt.")
    page.keyboard.type("d")
    # To the new label "d", and back to the only one that begins with it.
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(said).to_contain_text("You said Dress.")
    page.keyboard.type("Cap")
    page.keyboard.press("Enter")
    expect(said).to_contain_text("You said Cap.")
    page.keyboard.press("?")
    expect(said).to_contain_text("You said unclear.")
    until(lambda: judged(service) == ["Ankle boot", "Shirt", "Dress", "Cap", "unclear"])
    expect(page.locator(IMAGES_LEFT)).to_have_text("4 images left")
    source = page.locator(".desk .frame img")
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    expect(said).to_have_text("Your last judgment is withdrawn.")
    until(lambda: judged(service) == ["Ankle boot", "Shirt", "Dress"])
    expect(page.locator(IMAGES_LEFT)).to_have_text("6 images left")
    expect(source).to_be_visible()
    ids = judged_by(page)
    before = {id for id, truth in truths(service).items() if truth is None}
    page.keyboard.type("coa")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    until(lambda: judged(service) == ["Ankle boot", "Shirt", "Dress", "Coat"])
    items = requests.get(f"{service.url}/v1/predictions/{ids[0]}/ground-truths").json()["items"]
    assert [(item["label"], item["withdrawn_at"] is None) for item in items] == [("Coat", True), ("Cap", False)]
    assert ids[0] in before


def test_the_name_is_asked_once(review: Callable[..., tuple[Service, Page]]) -> None:
    service, page = review(4)
    start(page, name=None)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    prompt = page.get_by_role("dialog", name="Who is judging?")
    expect(prompt).to_be_visible()
    page.keyboard.type("Ana")
    page.keyboard.press("Enter")
    expect(page.locator(RESULT)).to_contain_text("You said T-shirt/top.")
    expect(page.get_by_role("combobox", name="It shows")).to_be_focused()
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    until(lambda: judged(service) == ["T-shirt/top", "Trouser"])
    # The page asks before it is left while a judgment is being stored.
    page.wait_for_load_state("networkidle")
    page.reload()
    start(page, name=None)
    expect(page.get_by_role("button", name="Reviewing as Ana")).to_be_visible()


def test_two_reviewers_get_different_images_until_none_is_left(
    review: Callable[..., tuple[Service, Page]], visit: Visit
) -> None:
    service, page = review(14)
    start(page)
    other = visit(f"{service.url}/#review")
    start(other, "Bo")
    ids, others = judged_by(page), judged_by(other)
    for _ in range(2):
        expect(other.locator(".desk .frame img")).to_be_visible()
        other.keyboard.press("?")
    expect(other.locator(STATUS)).to_contain_text("The last 12 images are in other tabs or with other reviewers.")
    for _ in range(12):
        expect(page.locator(".desk .frame img")).to_be_visible()
        page.keyboard.press("?")
    expect(page.locator(STATUS)).to_contain_text("Nothing is left to review.")
    other.get_by_role("button", name="Try again").click()
    expect(other.locator(STATUS)).to_contain_text("Nothing is left to review.")
    assert (len(ids), len(others), len({*ids, *others})) == (12, 2, 14)
    other.get_by_role("button", name="Undo").click()
    expect(other.locator(".desk .frame img")).to_be_visible()
    until(lambda: len(judged(service)) == 13)


def test_a_setting_shows_what_the_model_said(review: Callable[..., tuple[Service, Page]]) -> None:
    _, page = review(4)
    start(page)
    page.get_by_label("Show what the model said").check()
    expect(page.locator(".desk .hint")).to_contain_text("The model said ")
    page.reload()
    start(page)
    expect(page.locator(".desk .hint")).to_contain_text("The model said ")


def test_a_refused_judgment_is_shown_again(serve: Callable[..., Service], visit: Visit, tmp_path: Path) -> None:
    fill_weeks(tmp_path / "serve.sqlite", per_day=4)
    tokens = tmp_path / "tokens"
    tokens.write_text("secret read,review Ana\n")
    service = serve(tokens_file=tokens).ready()
    page = visit(f"{service.url}/#review", ("status of 401", "status of 403"))
    expect(page.get_by_label("Bearer token")).to_be_focused()
    page.keyboard.type("secret")
    page.keyboard.press("Enter")
    start(page, name=None)
    expect(page.get_by_role("button", name="Reviewing as Ana")).to_be_disabled()
    tokens.write_text("secret read Ana\n")
    page.keyboard.type("tr")
    page.keyboard.press("Enter")
    expect(page.locator(STATUS)).to_contain_text("Not saved. This token does not have the role 'review'")
    expect(page.get_by_role("option", name="Trouser")).to_have_attribute("aria-selected", "true")
    tokens.write_text("secret read,predict,review,admin Ana\n")
    page.keyboard.press("Enter")
    expect(page.locator(STATUS)).to_be_empty()
    listed = f"{service.url}/v1/predictions?ground_truth=any"
    headers = {"Authorization": "Bearer secret"}
    until(
        lambda: (
            [item["ground_truth"]["label"] for item in requests.get(listed, headers=headers).json()["items"]]
            == ["Trouser"]
        )
    )


def test_a_deleted_image_is_passed_over(review: Callable[..., tuple[Service, Page]]) -> None:
    service, page = review(4, ("status of 404",))
    start(page)
    for id in truths(service):
        requests.delete(f"{service.url}/v1/predictions/{id}").raise_for_status()
    page.keyboard.press("?")
    expect(page.locator(STATUS)).to_contain_text("The previous prediction has been deleted.")
    for _ in range(3):
        expect(page.locator(".desk .frame img")).to_be_visible()
        page.keyboard.press("?")
    expect(page.locator(STATUS)).to_contain_text("Nothing is left to review.")


def test_an_image_with_too_many_judgments_is_passed_over(review: Callable[..., tuple[Service, Page]]) -> None:
    service, page = review(2, ("status of 409",))
    start(page)
    for id in truths(service):
        path = f"{service.url}/v1/predictions/{id}/ground-truths"
        for _ in range(100):
            judgment = requests.post(path, json={"verdict": "unclear", "annotator": "Bo"}).json()
            requests.delete(f"{path}/{judgment['id']}").raise_for_status()
    page.keyboard.press("?")
    expect(page.locator(STATUS)).to_contain_text("judgments")
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    assert judged(service) == []


def test_the_images_of_a_comparison_can_be_reviewed(review: Callable[..., tuple[Service, Page]]) -> None:
    service, page = review(6)
    items = requests.get(f"{service.url}/v1/predictions").json()["items"][:2]
    flips = [
        {
            "prediction": item["id"],
            "baseline_label": item["label"],
            "candidate_label": "Bag",
            "candidate_score": 0.75,
        }
        for item in items
    ]
    models = {"baseline": "fashion-mnist-mlp/2.2.0", "candidate": "other/1.0.0"}
    response = requests.post(f"{service.url}/v1/comparisons", json={**models, "report": {}, "flips": flips})
    page.goto(f"{service.url}/#review?compare={response.json()['id']}")
    expect(page.locator(IMAGES_LEFT)).to_have_text("2 images left")
    start(page)
    page.keyboard.press("?")
    expect(page.locator(RESULT)).to_contain_text("The candidate said Bag, 75.0%.")


def test_a_token_without_the_role_cannot_review(serve: Callable[..., Service], visit: Visit, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("secret read Ana\n")
    page = visit(f"{serve(tokens_file=tokens).ready().url}/#review", ("status of 401", "status of 403"))
    expect(page.get_by_label("Bearer token")).to_be_focused()
    page.keyboard.type("secret")
    page.keyboard.press("Enter")
    expect(page.locator(STATUS)).to_contain_text("This token does not have the role 'review'")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_a_judgment_waits_for_a_service_that_is_gone(review: Callable[..., tuple[Service, Page]]) -> None:
    service, page = review(4, ("net::ERR_CONNECTION",))
    start(page)
    service.stop()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator(STATUS)).to_have_text(
        "Not saved. Cannot reach the server. Check your connection, and try again."
    )
    expect(page.locator(IMAGES_LEFT)).to_have_text("4 images left")


def test_review_works_by_touch(review: Callable[..., tuple[Service, Page]]) -> None:
    service, page = review(4, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page.evaluate("localStorage.setItem('lookbook-annotator', '')")
    expect(page.locator(".desk .frame img")).to_be_visible()
    page.get_by_role("option", name="Coat").tap()
    page.get_by_role("button", name="Unclear").tap()
    until(lambda: judged(service) == ["Coat", "unclear"])
    page.get_by_role("button", name="Undo").tap()
    until(lambda: judged(service) == ["Coat"])
