"""Images on their way to the service, and their cards."""

import re
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from playwright.sync_api import Page, Request, expect

from tests.support.browser import choose, error_shown, expect_history, expect_tally, history_ids
from tests.support.images import encoded
from tests.support.load import make_large, occupy
from tests.support.places import BAG, GOLDEN, PHOTOS
from tests.support.running import Service, free_port, until

Visit = Callable[..., Page]


def drop(page: Page, *paths: Path) -> None:
    """Drag the files over the page's corner, outside the marked area, and drop them."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": step, "x": 5, "y": 5, "data": data})
        expect(page.locator("body")).to_have_class("dropping" if step == "dragOver" else re.compile("^(dropping)?$"))


def test_one_bad_image_does_not_stop_the_others(service: Service, visit: Visit, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8 not an image")
    page = visit(service.url, ("status of 415",))
    photos = sorted(PHOTOS.glob("*.jpg"))
    cards = choose(page, *photos[:5], bad, *photos[5:])
    expect_tally(page, "13 images: 12 classified, 1 failed")
    items = requests.get(f"{service.url}/v1/predictions").json()["items"]
    predictions = {item["file_name"]: item for item in items}
    assert len(predictions) == 12
    for card in cards.all():
        name = card.locator(".name").inner_text()
        if name == "bad.jpg":
            expect(card.locator(".small")).to_have_text(error_shown(service.send(bad.read_bytes())))
            expect(card.locator(".scores li")).to_have_count(0)
            expect(card.get_by_role("button")).to_have_count(0)
            continue
        expect(card.locator("h3")).to_have_text(predictions[name]["label"])
        top = predictions[name]["top"]
        assert card.locator(".scores .label").all_inner_texts() == [entry["label"] for entry in top]
        bars = card.locator("meter").evaluate_all("bars => bars.map(bar => bar.value)")
        assert bars == pytest.approx([entry["score"] for entry in top])
        assert re.fullmatch(r"fashion-mnist-mlp 2\.2\.0 · \d+\sms", card.locator(".small").inner_text())
    expect(page.locator(".tile")).to_have_count(12)
    assert set(history_ids(page)) == {prediction["id"] for prediction in predictions.values()}
    page.get_by_role("button", name="Clear list").click()
    expect(cards).to_have_count(0)
    expect(page.get_by_role("button", name="Choose images")).to_be_focused()


def test_the_image_and_its_progress_are_shown_during_upload(service: Service, visit: Visit, tmp_path: Path) -> None:
    noise = tmp_path / "noise.png"
    # About 750 kB.
    noise.write_bytes(encoded(Image.fromarray(np.random.default_rng(1).integers(0, 256, (500, 500, 3), np.uint8))))
    page = visit(service.url)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
    card = choose(page, noise)
    bar = card.locator("progress")
    expect(bar).to_have_accessible_name("Uploading noise.png")
    expect(card.locator("img")).to_have_js_property("naturalWidth", 500)
    positions: set[float] = set()

    def is_classified() -> bool:
        # -1 once everything is sent, until the response arrives.
        positions.add(bar.evaluate("bar => bar.position"))
        return card.get_attribute("data-state") == "classified"

    until(is_classified)
    assert len([position for position in positions if 0 < position < 1]) > 2
    expect(bar).to_be_hidden()


def test_images_can_be_dropped_anywhere(service: Service, visit: Visit) -> None:
    page = visit(service.url)
    drop(page, *GOLDEN)
    expect_tally(page, "3 images: 3 classified")


def test_a_dropped_folder_is_an_error(service: Service, visit: Visit, tmp_path: Path) -> None:
    page = visit(service.url, ("net::ERR_FILE_NOT_FOUND",))
    (tmp_path / "folder").mkdir()
    drop(page, tmp_path / "folder")
    expect_tally(page, "1 image: 1 failed")
    expect(page.locator(".card .small")).to_have_text(
        "This is a folder, or a file that cannot be read. Choose an image file."
    )


def test_an_image_can_be_pasted(service: Service, visit: Visit) -> None:
    page = visit(service.url, permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async (bytes) => {
            const blob = new Blob([new Uint8Array(bytes)], {type: "image/png"});
            await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
        }""",
        list(BAG.read_bytes()),
    )
    page.keyboard.press("Control+V")
    expect_tally(page, "1 image: 1 classified")
    expect(page.locator(".card h3")).to_have_text("Bag")


def test_a_phone_offers_its_camera(service: Service, visit: Visit) -> None:
    assert not visit(service.url).get_by_role("button", name="Take a photo").is_visible()
    page = visit(service.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    with page.expect_file_chooser() as opened:
        page.get_by_role("button", name="Take a photo").tap()
    assert opened.value.element.get_attribute("capture") == "environment"
    opened.value.set_files(BAG)
    expect_tally(page, "1 image: 1 classified")


def test_a_busy_service_is_retried_after_the_time_it_gives(
    serve: Callable[..., Service], altered: Callable[..., Path], visit: Visit
) -> None:
    service = serve(max_requests=1, model=altered(make_large)).ready()
    page = visit(service.url)
    expect_history(page, "No predictions yet.")
    sent: list[float] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            sent.append(time.monotonic())

    page.on("request", note)
    with occupy(service):
        until(lambda: requests.get(f"{service.url}/v1/model").status_code == 503)
        card = choose(page, BAG)
        busy = error_shown(requests.get(f"{service.url}/v1/model"))
        expect(card.locator(".small")).to_have_text(f"{busy} Retrying…")
    expect_tally(page, "1 image: 1 classified")
    assert len(sent) > 1
    assert min(later - earlier for earlier, later in pairwise(sent)) > 1
    assert len(service.all_ids()) == 1


def test_failed_requests_can_be_repeated_once_the_service_is_back(serve: Callable[..., Service], visit: Visit) -> None:
    bind = f"127.0.0.1:{free_port()}"
    service = serve(bind=bind)
    service.url = f"http://{bind}"
    page = visit(service.ready().url, ("net::ERR_CONNECTION",))
    expect_history(page, "No predictions yet.")
    service.stop()
    card = choose(page, BAG)
    expect_tally(page, "1 image: 1 failed")
    expect(card.locator(".small")).to_have_text("Cannot reach the server. Check your connection, and try again.")
    page.get_by_label("Label").select_option("Bag")
    expect_history(page, "Cannot load the history. Cannot reach the server. Check your connection, and try again.")
    restarted = serve(bind=bind)
    restarted.url = service.url
    restarted.ready()
    card.get_by_role("button", name="Try again").click()
    expect_tally(page, "1 image: 1 classified")
    page.get_by_role("button", name="Try again").click()
    expect_history(page, "End of the list: 1 prediction.")


def test_images_do_not_stay_in_memory(service: Service, visit: Visit) -> None:
    service.send(BAG.read_bytes())
    page = visit("about:blank")
    page.add_init_script(
        """window.kept = new Set();
        const {createObjectURL, revokeObjectURL} = URL;
        URL.createObjectURL = (blob) => { const url = createObjectURL(blob); kept.add(url); return url; };
        URL.revokeObjectURL = (url) => { kept.delete(url); revokeObjectURL(url); };"""
    )
    page.goto(service.url)
    choose(page, *GOLDEN)
    expect_tally(page, "3 images: 3 classified")
    expect(page.locator(".tile img:not([hidden])")).to_have_count(4)
    for image in page.locator(".tile img, .card img").all():
        expect(image).to_have_js_property("naturalWidth", 28)
    until(lambda: page.evaluate("kept.size") == 0)
    # Images that were never scrolled into view do not stay, either.
    page.get_by_role("button", name="Clear list").click()
    choose(page, *GOLDEN * 15)
    expect_tally(page, "45 images: 45 classified")
    page.get_by_role("button", name="Clear list").click()
    until(lambda: page.evaluate("kept.size") == 0)
