"""The history: its pages, its filter, and what is added to it."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from lookbook.prediction import Prediction, id_maker
from lookbook.store import Entry
from lookbook.store.sqlite import SqliteStore
from playwright.sync_api import Page, expect

from benchmarks.rows import dense, fill_sqlite, make_ids
from tests.support.browser import choose, expect_history, expect_tally, history_ids
from tests.support.places import GOLDEN
from tests.support.running import Service, until

Visit = Callable[..., Page]

NO_MATCHES = "No predictions match the filter."


def test_the_history_reaches_back_to_the_first_prediction(service: Service, visit: Visit) -> None:
    predictions = [service.send(GOLDEN[number % 3].read_bytes()).json() for number in range(130)]
    page = visit(service.url)
    expect(page.locator(".tile")).to_have_count(60)

    def is_complete() -> bool:
        page.keyboard.press("End")
        return len(history_ids(page)) == 130

    until(is_complete)
    expect_history(page, "End of the list: 130 predictions.")
    assert history_ids(page) == [prediction["id"] for prediction in reversed(predictions)]
    page.locator(".tile").last.scroll_into_view_if_needed()
    expect(page.locator(".tile img").last).to_have_js_property("naturalWidth", 28)
    page.keyboard.press("Home")
    page.get_by_label("Label").select_option("Bag")
    bags = [prediction for prediction in predictions if prediction["label"] == "Bag"]
    expect_history(page, f"End of the list: {len(bags)} predictions.")
    assert history_ids(page) == [prediction["id"] for prediction in reversed(bags)]
    page.get_by_label("After").fill("2030-01-01T00:00")
    expect_history(page, NO_MATCHES)
    page.get_by_role("button", name="Clear filter").click()
    expect(page.locator(".tile")).to_have_count(60)
    page.get_by_label("Before").fill("2025-01-01T00:00")
    expect_history(page, NO_MATCHES)


def test_an_incomplete_time_does_not_filter(service: Service, visit: Visit) -> None:
    service.send(GOLDEN[0].read_bytes())
    page = visit(service.url)
    expect_history(page, "End of the list: 1 prediction.")
    since = page.get_by_label("After")
    since.evaluate("input => input.value = '20266-01-31T12:00'")
    since.dispatch_event("change")
    expect(page.locator(".tile")).to_have_count(1)
    since.fill("2026-01-31T12:00")
    expect_history(page, "End of the list: 1 prediction.")
    page.get_by_label("Before").focus()
    page.keyboard.type("01012026")
    page.get_by_label("Label").focus()
    expect(page.locator("#filter-hint")).to_have_text("To filter by time, complete the date and time.")
    page.get_by_label("Before").fill("2026-01-31T12:00")
    page.get_by_label("Label").focus()
    expect(page.locator("#filter-hint")).to_be_empty()


def test_labels_of_earlier_models_can_be_filtered(serve: Callable[..., Service], visit: Visit, tmp_path: Path) -> None:
    with closing(SqliteStore(str(tmp_path / "serve.sqlite"), lambda _: None)) as store:
        make = id_maker()
        for label in ("Hat", "Bag"):
            store.put(Entry(Prediction(make(), "", ((label, 0.9), ("Coat", 0.06), ("Dress", 0.04)), "m", "1")))
    page = visit(serve().ready().url, ("status of 404",))
    expect_history(page, "End of the list: 2 predictions.")
    labels = page.locator("#filter [name=label] option").all_inner_texts()[1:]
    assert labels == sorted(labels)
    page.get_by_label("Label").select_option("Hat")
    expect_history(page, "End of the list: 1 prediction.")


def test_a_filter_finds_a_match_far_back(serve: Callable[..., Service], visit: Visit, tmp_path: Path) -> None:
    """Pages without a match still have a next page."""
    path, now = str(tmp_path / "serve.sqlite"), time.time_ns()
    with closing(SqliteStore(path, lambda _: None)) as store:
        make = id_maker(clock=lambda: now - 10**15)
        rare = Prediction(make(), "rare.png", (("Pullover", 0.9), ("Bag", 0.06), ("Coat", 0.04)), "m", "1")
        store.put(Entry(rare))
    fill_sqlite(path, make_ids(dense(25_000, now)))
    page = visit(serve().ready().url, ("status of 404",))
    expect(page.locator(".tile").first).to_be_visible()
    page.get_by_label("Label").select_option("Pullover")
    expect(page.locator("#history-status")).to_contain_text("No matches back to")
    page.get_by_role("button", name="Keep searching").click()
    expect_history(page, "End of the list: 1 prediction.")
    assert history_ids(page) == [str(rare.id)]


def test_a_new_prediction_joins_the_history_if_it_matches_the_filter(service: Service, visit: Visit) -> None:
    page = visit(service.url)
    expect_history(page, "No predictions yet.")
    page.get_by_label("Label").select_option("Bag")
    expect_history(page, NO_MATCHES)
    choose(page, *GOLDEN)
    expect_tally(page, "3 images: 3 classified")
    expect_history(page, "End of the list: 1 prediction.")
    assert page.locator(".tile .label").all_inner_texts() == ["Bag"]
