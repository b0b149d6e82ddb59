"""Ground truths in the dialog and in the history."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import expect_history
from tests.support.places import BAG, GOLDEN
from tests.support.running import Service

Visit = Callable[..., Page]


@pytest.fixture
def prediction(service: Service) -> dict[str, Any]:
    stored: dict[str, Any] = service.send(BAG.read_bytes()).json()
    return stored


def judgments(service: Service, id: str, **headers: str) -> dict[str, Any]:
    response = requests.get(f"{service.url}/v1/predictions/{id}/ground-truths", headers=headers)
    found: dict[str, Any] = response.json()
    return found


def ground_truth(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Bag").get_by_role("region", name="Ground truth")


def enter_name(page: Page, name: str) -> None:
    prompt = page.get_by_role("dialog", name="Who is judging?")
    expect(prompt.get_by_label("Your name")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(prompt).to_be_hidden()


def test_a_person_says_what_an_image_shows(service: Service, prediction: dict[str, Any], visit: Visit) -> None:
    page = visit(f"{service.url}/#{prediction['id']}")
    truth = ground_truth(page)
    expect(truth).to_contain_text("Not judged yet.")
    truth.get_by_role("button", name="Right").click()
    enter_name(page, "Ana")
    expect(truth).to_contain_text("✓ Right (1 judgment)")
    expect(truth.get_by_role("heading")).to_be_focused()
    expect(page.locator(".tile .truth")).to_have_text("✓ Right")
    truth.get_by_label("Wrong: it shows").fill("Handbag")
    page.keyboard.press("Enter")
    expect(truth).to_contain_text("✗ Handbag (1 judgment)")
    expect(page.locator(".tile .truth")).to_have_text("✗ Handbag")
    truth.get_by_role("button", name="Unclear").click()
    expect(truth).to_contain_text("? Unclear (1 judgment)")
    found = judgments(service, prediction["id"])
    assert [(item.get("label"), item["annotator"]) for item in found["items"]] == [
        (None, "Ana"),
        ("Handbag", "Ana"),
        ("Bag", "Ana"),
    ]
    assert page.locator("#known-labels option").count() == 10


def test_only_ones_own_judgments_can_be_withdrawn(service: Service, prediction: dict[str, Any], visit: Visit) -> None:
    url = f"{service.url}/v1/predictions/{prediction['id']}/ground-truths"
    requests.post(url, json={"label": "Coat", "annotator": "Bo"}).raise_for_status()
    page = visit(f"{service.url}/#{prediction['id']}")
    truth = ground_truth(page)
    expect(truth).to_contain_text("✗ Coat (1 judgment)")
    truth.get_by_role("button", name="Right").click()
    enter_name(page, "Ana")
    expect(truth).to_contain_text("? Unclear (2 judgments)")
    truth.get_by_text("All judgments (2)").click()
    rows = truth.get_by_role("listitem")
    expect(rows.first).to_contain_text("Bag · Ana")
    expect(rows.last).to_contain_text("Coat · Bo")
    truth.get_by_role("button", name="Withdraw").click()
    expect(truth).to_contain_text("✗ Coat (1 judgment)")
    expect(rows.first).to_contain_text("withdrawn")
    expect(truth.get_by_role("button", name="Withdraw")).to_have_count(0)


def test_nothing_is_stored_without_a_name_if_the_person_cancels(
    service: Service, prediction: dict[str, Any], visit: Visit
) -> None:
    page = visit(f"{service.url}/#{prediction['id']}")
    ground_truth(page).get_by_role("button", name="Right").click()
    expect(page.get_by_role("dialog", name="Who is judging?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Bag")).to_be_visible()
    ground_truth(page).get_by_role("button", name="Right").click()
    enter_name(page, "")
    expect(ground_truth(page)).to_contain_text("✓ Right (1 judgment)")
    assert [item["annotator"] for item in judgments(service, prediction["id"])["items"]] == [""]


def test_the_name_of_a_token_counts(serve: Callable[..., Service], visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret read,predict,review Ana\nreader read\n")
    service = serve(tokens_file=tmp_path / "tokens").ready()
    id = service.send(BAG.read_bytes(), Authorization="Bearer secret").json()["id"]
    page = visit(f"{service.url}/#{id}", ("status of 401", "status of 403"))
    expect(page.get_by_label("Bearer token")).to_be_focused()
    page.keyboard.type("reader")
    page.keyboard.press("Enter")
    ground_truth(page).get_by_role("button", name="Right").click()
    enter_name(page, "Bo")
    expect(ground_truth(page)).to_contain_text("does not have the role 'review'")
    page.evaluate("sessionStorage.setItem('lookbook-token', 'secret')")
    page.reload()
    ground_truth(page).get_by_role("button", name="Right").click()
    expect(ground_truth(page)).to_contain_text("✓ Right (1 judgment)")
    found = judgments(service, id, Authorization="Bearer secret")["items"]
    assert [item["annotator"] for item in found] == ["Ana"]


def test_the_history_is_filtered_by_ground_truth(service: Service, visit: Visit) -> None:
    for path, label in zip(GOLDEN, ("right", "wrong", None), strict=True):
        stored = service.send(path.read_bytes()).json()
        if label:
            said = stored["label"] if label == "right" else "Cap"
            url = f"{service.url}/v1/predictions/{stored['id']}/ground-truths"
            requests.post(url, json={"label": said}).raise_for_status()
    page = visit(service.url)
    expect(page.locator(".tile .truth")).to_have_text(["", "✗ Cap", "✓ Right"])
    for choice, marks in {
        "Right": ["✓ Right"],
        "Wrong": ["✗ Cap"],
        "Judged": ["✗ Cap", "✓ Right"],
        "Not judged": [""],
    }.items():
        page.get_by_role("combobox", name="Ground truth").select_option(choice)
        expect(page.locator(".tile .truth")).to_have_text(marks)
    page.get_by_role("button", name="Clear filter").click()
    expect_history(page, "End of the list: 3 predictions.")
