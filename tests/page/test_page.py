"""The page, as a person meets it: a real Chromium and a real server."""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from lookbook.prediction import Prediction, id_maker
from lookbook.store.sqlite import SqliteStore
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from benchmarks.rows import dense, fill_sqlite, make_ids
from tests.support import browser
from tests.support.images import encoded
from tests.support.places import MLP, PHOTOS
from tests.support.requirements import lacking
from tests.support.running import Service, free_port, until

GOLDEN = sorted((MLP / "golden").glob("*.png"))
# A console's line that is no fault of the page. A service with a slow disk says 503, and the page asks again;
# the network changes where containers come and go beside the tests.
FAILED_LOAD = "Failed to load resource: "
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
TOLERATED = ("status of 503", NETWORK_CHANGED)
Visit = Callable[..., Page]

# The machine may be busy with other things.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not browser.path():
        lacking("no Chromium: the page's tests need one, `apt-get install -y chromium`", "BROWSER")
    with browser.chromium() as started:
        yield started


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Opens an address; its console stays empty but for failed loads, whose reasons `failures` names."""
    pages: list[Page] = []
    wrong: list[str] = []
    changed: list[str] = []

    def open(url: str, failures: tuple[str, ...] = (), **options: object) -> Page:
        def read(text: str) -> None:
            if not (text.startswith(FAILED_LOAD) and any(reason in text for reason in (*failures, *TOLERATED))):
                wrong.append(text)
            if NETWORK_CHANGED in text:
                changed.append(text)

        page = chromium.new_context(**options).new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: read(message.text))
        # Listened to before it is needed: Playwright does not wait until Chromium hands choosers over.
        page.on("filechooser", lambda _: None)
        page.on("pageerror", lambda error: read(str(error)))
        pages.append(page)
        page.goto(url)
        if changed:
            page.reload()
        return page

    yield open
    for page in pages:
        page.context.close()
    assert wrong == []


def answer(service: Service, path: Path) -> dict:
    return service.send(path.read_bytes()).json()


def give(page: Page, *paths: Path) -> Locator:
    """Picks the files; their cards."""
    page.set_input_files("#files", paths)
    return page.locator(".card")


def answered(page: Page, tally: str) -> None:
    expect(page.locator("#tally")).to_have_text(tally)


def shown(page: Page) -> list[str]:
    """Ids in the history, as it stands."""
    return page.locator(".tile").evaluate_all("tiles => tiles.map(tile => tile.hash.slice(1))")


def hold(service: Service) -> socket.socket:
    """A request that never ends by itself, and takes a place."""
    sock = socket.create_connection(("127.0.0.1", service.port), 10)
    sock.sendall(b"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\n")
    return sock


def noise(path: Path) -> Path:
    """A picture of about 750 kB."""
    path.write_bytes(encoded(Image.fromarray(np.random.default_rng(1).integers(0, 256, (500, 500, 3), np.uint8))))
    return path


def test_many_at_once_with_a_bad_one_among_them(serve: Callable[..., Service], visit: Visit, tmp_path: Path) -> None:
    service = serve().ready()
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8 no picture")
    page = visit(service.url, ("status of 415",))
    photos = sorted(PHOTOS.glob("*.jpg"))
    cards = give(page, *photos[:5], bad, *photos[5:])
    answered(page, "13 pictures: 12 answered, 1 refused")
    records = {record["file_name"]: record for record in requests.get(f"{service.url}/v1/predictions").json()["items"]}
    assert len(records) == 12
    for card in cards.all():
        name = card.locator(".name").inner_text()
        if name == "bad.jpg":
            reason = service.send(bad.read_bytes()).json()["error"]["message"]
            assert card.locator(".small").inner_text().lower() == f"{reason}.".lower()
            expect(card.locator(".scores li")).to_have_count(0)
            expect(card.get_by_role("button")).to_have_count(0)
            continue
        expect(card.locator("h3")).to_have_text(records[name]["label"])
        assert card.locator(".scores .label").all_inner_texts() == [best["label"] for best in records[name]["top"]]
        bars = card.locator("meter").evaluate_all("bars => bars.map(bar => bar.value)")
        assert bars == pytest.approx([best["score"] for best in records[name]["top"]])
        assert re.fullmatch(r"fashion-mnist-mlp 2\.2\.0 · \d+\sms", card.locator(".small").inner_text())
    expect(page.locator(".tile")).to_have_count(12)
    assert set(shown(page)) == {record["id"] for record in records.values()}
    page.get_by_role("button", name="Clear the list").click()
    expect(cards).to_have_count(0)
    expect(page.get_by_role("button", name="Choose pictures")).to_be_focused()


def test_a_picture_is_seen_while_it_goes_up(serve: Callable[..., Service], visit: Visit, tmp_path: Path) -> None:
    page = visit(serve().ready().url)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
    card = give(page, noise(tmp_path / "noise.png"))
    bar = card.locator("progress")
    expect(bar).to_have_accessible_name("Sending noise.png")
    expect(card.locator("img")).to_have_js_property("naturalWidth", 500)
    seen = set()

    def done() -> bool:
        # -1 while all is sent and no answer there yet.
        seen.add(bar.evaluate("bar => bar.position"))
        return card.get_attribute("data-state") == "answered"

    until(done)
    assert len([part for part in seen if 0 < part < 1]) > 2
    expect(bar).to_be_hidden()


def test_pictures_are_dropped(serve: Callable[..., Service], visit: Visit) -> None:
    page = visit(serve().ready().url)
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in GOLDEN], "dragOperationsMask": 1}
    # Beside the marked place: the whole page takes them.
    for step in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": step, "x": 5, "y": 5, "data": data})
        expect(page.locator("body")).to_have_class("dropping" if step == "dragOver" else re.compile("^(dropping)?$"))
    answered(page, "3 pictures: 3 answered")


def test_a_folder_is_refused(serve: Callable[..., Service], visit: Visit, tmp_path: Path) -> None:
    page = visit(serve().ready().url, ("net::ERR_FILE_NOT_FOUND",))
    (tmp_path / "folder").mkdir()
    data = {"items": [], "files": [str(tmp_path / "folder")], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        page.context.new_cdp_session(page).send("Input.dispatchDragEvent", {"type": step, "x": 5, "y": 5, "data": data})
    answered(page, "1 picture: 1 refused")
    expect(page.locator(".card .small")).to_have_text("This is a folder, or a file that cannot be read.")


def test_a_picture_is_pasted(serve: Callable[..., Service], visit: Visit) -> None:
    service = serve().ready()
    page = visit(service.url, permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async (bytes) => {
            const blob = new Blob([new Uint8Array(bytes)], {type: "image/png"});
            await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
        }""",
        list(GOLDEN[2].read_bytes()),
    )
    page.keyboard.press("Control+V")
    answered(page, "1 picture: 1 answered")
    expect(page.locator(".card h3")).to_have_text("Bag")


def test_a_telephone_offers_its_camera(serve: Callable[..., Service], visit: Visit) -> None:
    url = serve().ready().url
    assert not visit(url).get_by_role("button", name="Take a photo").is_visible()
    page = visit(url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    with page.expect_file_chooser() as opened:
        page.get_by_role("button", name="Take a photo").tap()
    assert opened.value.element.get_attribute("capture") == "environment"
    opened.value.set_files(GOLDEN[0])
    answered(page, "1 picture: 1 answered")


def test_the_keyboard_alone_is_enough(serve: Callable[..., Service], visit: Visit) -> None:
    service = serve().ready()
    page = visit(service.url)
    expect(page.locator("#state")).to_contain_text("No answers yet")

    def tab_to(wanted: Locator, key: str = "Tab") -> None:
        for _ in range(20):
            page.keyboard.press(key)
            if wanted.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"{key} does not lead to {wanted}")

    tab_to(page.get_by_role("button", name="Choose pictures"))
    with page.expect_file_chooser() as opened:
        page.keyboard.press("Enter")
    opened.value.set_files(GOLDEN)
    answered(page, "3 pictures: 3 answered")
    expect(page.locator("#said")).to_have_text("3 pictures: 3 answered")
    link = page.locator(".card a").first
    tab_to(link)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=link.inner_text())
    expect(dialog.get_by_role("heading")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()
    labels = page.get_by_label("Label")
    tab_to(labels)
    page.keyboard.type("Bag")
    expect(page.locator(".tile")).to_have_count(1)
    tab_to(page.locator(".tile"))
    page.keyboard.press("Enter")
    tab_to(page.get_by_role("button", name="Delete", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    tab_to(page.get_by_role("button", name="Delete for good"), "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#history")).to_be_focused()
    expect(page.locator("#state")).to_have_text("No answer matches the filter.")
    assert len(service.all_ids()) == 2


def test_the_history_goes_back_to_its_first_record(serve: Callable[..., Service], visit: Visit) -> None:
    service = serve().ready()
    records = [answer(service, GOLDEN[number % 3]) for number in range(130)]
    page = visit(service.url)
    expect(page.locator(".tile")).to_have_count(60)
    until(lambda: page.keyboard.press("End") or len(shown(page)) == 130)
    expect(page.locator("#state")).to_have_text("That is all: 130 answers.")
    assert shown(page) == [record["id"] for record in reversed(records)]
    page.locator(".tile").last.scroll_into_view_if_needed()
    expect(page.locator(".tile img").last).to_have_js_property("naturalWidth", 28)
    page.keyboard.press("Home")
    page.get_by_label("Label").select_option("Bag")
    bags = [record for record in records if record["label"] == "Bag"]
    expect(page.locator("#state")).to_have_text(f"That is all: {len(bags)} answers.")
    assert shown(page) == [record["id"] for record in reversed(bags)]
    page.get_by_label("From").fill("2030-01-01T00:00")
    expect(page.locator("#state")).to_have_text("No answer matches the filter.")
    page.get_by_role("button", name="Clear the filter").click()
    expect(page.locator(".tile")).to_have_count(60)
    page.get_by_label("Before").fill("2025-01-01T00:00")
    expect(page.locator("#state")).to_have_text("No answer matches the filter.")


def test_a_time_that_is_none_yet_changes_nothing(serve: Callable[..., Service], visit: Visit) -> None:
    service = serve().ready()
    answer(service, GOLDEN[0])
    page = visit(service.url)
    expect(page.locator("#state")).to_have_text("That is all: 1 answer.")
    since = page.get_by_label("From")
    since.evaluate("input => input.value = '20266-01-31T12:00'")
    since.dispatch_event("change")
    expect(page.locator(".tile")).to_have_count(1)
    since.fill("2026-01-31T12:00")
    expect(page.locator("#state")).to_have_text("That is all: 1 answer.")
    page.get_by_label("Before").focus()
    page.keyboard.type("01012026")
    page.get_by_label("Label").focus()
    expect(page.locator("#incomplete")).to_have_text("A time that is not complete does not filter.")
    page.get_by_label("Before").fill("2026-01-31T12:00")
    page.get_by_label("Label").focus()
    expect(page.locator("#incomplete")).to_be_empty()


def test_labels_of_an_earlier_model_filter_too(serve: Callable[..., Service], visit: Visit, tmp_path: Path) -> None:
    with closing(SqliteStore(str(tmp_path / "serve.sqlite"), lambda _: None)) as store:
        make = id_maker()
        for label in ("Hat", "Bag"):
            store.put(Prediction(make(), "", ((label, 0.9), ("Coat", 0.06), ("Dress", 0.04)), "m", "1"), None)
    page = visit(serve().ready().url, ("status of 404",))
    expect(page.locator("#state")).to_have_text("That is all: 2 answers.")
    labels = page.locator("#filter option").all_inner_texts()[1:]
    assert labels == sorted(labels)
    page.get_by_label("Label").select_option("Hat")
    expect(page.locator("#state")).to_have_text("That is all: 1 answer.")


def test_a_filter_finds_the_one_far_back(serve: Callable[..., Service], visit: Visit, tmp_path: Path) -> None:
    """Pages without a match have a next one all the same."""
    path, now = str(tmp_path / "serve.sqlite"), time.time_ns()
    with closing(SqliteStore(path, lambda _: None)) as store:
        make = id_maker(clock=lambda: now - 10**15)
        rare = Prediction(make(), "rare.png", (("Sandal", 0.9), ("Bag", 0.06), ("Coat", 0.04)), "m", "1")
        store.put(rare, None)
    fill_sqlite(path, make_ids(dense(25_000, now)))
    page = visit(serve().ready().url, ("status of 404",))
    expect(page.locator(".tile").first).to_be_visible()
    page.get_by_label("Label").select_option("Sandal")
    expect(page.locator("#state")).to_contain_text("Nothing found back to")
    page.get_by_role("button", name="Search on").click()
    expect(page.locator("#state")).to_have_text("That is all: 1 answer.")
    assert shown(page) == [str(rare.id)]


def test_an_answer_comes_into_the_history_only_where_it_matches(serve: Callable[..., Service], visit: Visit) -> None:
    service = serve().ready()
    page = visit(service.url)
    expect(page.locator("#state")).to_contain_text("No answers yet")
    page.get_by_label("Label").select_option("Bag")
    expect(page.locator("#state")).to_have_text("No answer matches the filter.")
    give(page, *GOLDEN)
    answered(page, "3 pictures: 3 answered")
    expect(page.locator("#state")).to_have_text("That is all: 1 answer.")
    assert page.locator(".tile .label").all_inner_texts() == ["Bag"]


def test_a_record_has_an_address(serve: Callable[..., Service], visit: Visit) -> None:
    service = serve().ready()
    record = answer(service, GOLDEN[2])
    page = visit(f"{service.url}/#{record['id']}", ("status of 404",))
    dialog = page.get_by_role("dialog", name="Bag")
    expect(dialog).to_contain_text("fashion-mnist-mlp 2.2.0")
    expect(dialog.get_by_role("img")).to_have_js_property("naturalWidth", 28)
    page.reload()
    expect(dialog).to_contain_text(record["id"])
    expect(page).to_have_title("Bag · Lookbook")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(f"{service.url}/")
    page.locator(".tile").click()
    expect(page).to_have_url(f"{service.url}/#{record['id']}")
    page.go_back()
    expect(dialog).to_be_hidden()
    unknown = f"{record['id'][:-1]}{(int(record['id'][-1], 16) + 1) % 16:x}"
    page.goto(f"{service.url}/#{unknown}")
    expect(page.get_by_role("dialog", name="There is no such record")).to_contain_text(f"No prediction {unknown}.")


def test_a_record_is_deleted_once_it_is_confirmed(serve: Callable[..., Service], visit: Visit) -> None:
    service = serve().ready()
    page = visit(service.url)
    give(page, *GOLDEN)
    answered(page, "3 pictures: 3 answered")
    page.locator(".tile", has_text="Bag").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("button", name="Delete", exact=True)).to_be_focused()
    assert len(service.all_ids()) == 3
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.locator("#state")).to_have_text("That is all: 2 answers.")
    expect(page.locator("#tally")).to_have_text("2 pictures: 2 answered")
    expect(page.locator("#said")).to_have_text("The record is deleted.")
    assert set(shown(page)) == service.all_ids()


def copied(page: Page, service: Service, record: dict) -> str:
    page.goto(f"{service.url}/#{record['id']}")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator("#record .status")).to_contain_text("Copied.")
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_the_copied_command_runs(serve: Callable[..., Service], visit: Visit) -> None:
    service = serve().ready()
    record = answer(service, GOLDEN[0])
    page = visit(service.url, permissions=["clipboard-read", "clipboard-write"])
    command = copied(page, service, record)
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, timeout=30)
    assert json.loads(ran.stdout) == record


def test_a_token_is_asked_for_and_kept_in_the_tab(serve: Callable[..., Service], visit: Visit, tmp_path: Path) -> None:
    secret = "schlüssel 1"
    (tmp_path / "tokens").write_text(f"{secret}\n")
    service = serve(tokens_file=tmp_path / "tokens").ready()
    authorization = f"Bearer {secret}".encode().decode("latin-1")
    record = service.send(GOLDEN[2].read_bytes(), Authorization=authorization).json()
    page = visit(
        f"{service.url}/#{record['id']}",
        ("status of 401",),
        permissions=["clipboard-read", "clipboard-write"],
    )
    prompt = page.get_by_role("dialog", name="A token is needed")

    def enter(token: str) -> None:
        expect(prompt.get_by_label("Bearer token")).to_be_focused()
        page.keyboard.type(token)
        page.keyboard.press("Enter")

    enter("wrong")
    expect(prompt).to_contain_text("The service did not accept this token.")
    enter(secret)
    expect(prompt).to_be_hidden()
    expect(page.get_by_role("dialog", name="Bag").get_by_role("img")).to_have_js_property("naturalWidth", 28)
    expect(page.locator(".tile img")).to_have_js_property("naturalWidth", 28)
    command = copied(page, service, record)
    assert secret not in command
    ran = subprocess.run(
        command, shell=True, env={**os.environ, "TOKEN": secret}, capture_output=True, check=True, timeout=30
    )
    assert json.loads(ran.stdout) == record
    page.get_by_role("button", name="Close").click()
    give(page, *GOLDEN)
    answered(page, "3 pictures: 3 answered")
    page.reload()
    expect(page.locator(".tile")).to_have_count(4)
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    page.get_by_role("button", name="Forget the token").click()
    expect(prompt).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    page.keyboard.press("Escape")
    expect(page.locator("#state")).to_contain_text("A bearer token is needed")
    give(page, GOLDEN[0])
    enter(secret)
    expect(page.locator(".tile")).to_have_count(5)
    expect(page.locator("#filter option")).to_have_count(11)


def test_a_busy_service_is_asked_again_when_it_says(serve: Callable[..., Service], visit: Visit) -> None:
    service = serve(max_requests=1, body_timeout=60).ready()
    page = visit(service.url)
    expect(page.locator("#state")).to_contain_text("No answers yet")
    asked: list[float] = []
    page.on("request", lambda request: request.method == "POST" and asked.append(time.monotonic()))
    with hold(service):
        until(lambda: requests.get(f"{service.url}/v1/model").status_code == 503)
        card = give(page, GOLDEN[2])
        expect(card.locator(".small")).to_contain_text("This worker already has 1 requests; try again.")
    answered(page, "1 picture: 1 answered")
    assert len(asked) > 1
    assert min(later - earlier for earlier, later in pairwise(asked)) > 1
    assert len(service.all_ids()) == 1


def test_a_picture_is_tried_again_after_the_service_was_away(serve: Callable[..., Service], visit: Visit) -> None:
    bind = f"127.0.0.1:{free_port()}"
    url = f"http://{bind}"
    service = serve(bind=bind)
    service.url = url
    page = visit(service.ready().url, ("net::ERR_CONNECTION",))
    expect(page.locator("#state")).to_contain_text("No answers yet")
    service.stop()
    card = give(page, GOLDEN[2])
    answered(page, "1 picture: 1 refused")
    expect(card.locator(".small")).to_have_text("The connection broke before an answer came.")
    page.get_by_label("Label").select_option("Bag")
    expect(page.locator("#state")).to_contain_text("The history cannot be shown.")
    again = serve(bind=bind)
    again.url = url
    again.ready()
    card.get_by_role("button", name="Try again").click()
    answered(page, "1 picture: 1 answered")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#state")).to_have_text("That is all: 1 answer.")


def test_no_picture_is_kept_in_memory(serve: Callable[..., Service], visit: Visit) -> None:
    service = serve().ready()
    answer(service, GOLDEN[0])
    page = visit("about:blank")
    page.add_init_script(
        """window.kept = new Set();
        const {createObjectURL, revokeObjectURL} = URL;
        URL.createObjectURL = (blob) => { const url = createObjectURL(blob); kept.add(url); return url; };
        URL.revokeObjectURL = (url) => { kept.delete(url); revokeObjectURL(url); };"""
    )
    page.goto(service.url)
    give(page, *GOLDEN)
    answered(page, "3 pictures: 3 answered")
    expect(page.locator(".tile img:not([hidden])")).to_have_count(4)
    for image in page.locator(".tile img, .card img").all():
        expect(image).to_have_js_property("naturalWidth", 28)
    until(lambda: page.evaluate("kept.size") == 0)
    # Nor of those that nobody has scrolled to.
    page.get_by_role("button", name="Clear the list").click()
    give(page, *GOLDEN * 15)
    answered(page, "45 pictures: 45 answered")
    page.get_by_role("button", name="Clear the list").click()
    until(lambda: page.evaluate("kept.size") == 0)


def check(page: Page) -> None:
    """Nothing sticks out sideways, and axe-core finds nothing."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = Axe().run(page).response["violations"]
    assert [(item["id"], item["impact"], [node["html"] for node in item["nodes"]]) for item in found] == []


@pytest.mark.parametrize("width", [360, 2560])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_is_accessible(
    serve: Callable[..., Service], visit: Visit, tmp_path: Path, scheme: str, width: int
) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    (tmp_path / f"{'long' * 50}.jpg").write_bytes(b"no picture")
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
    expect(page.locator("#state")).to_contain_text("No answers yet")
    check(page)
    give(page, *GOLDEN, PHOTOS / "coat.jpg", tmp_path / f"{'long' * 50}.jpg")
    answered(page, "5 pictures: 4 answered, 1 refused")
    check(page)
    page.locator(".tile").first.click()
    expect(page.get_by_role("button", name="Copy as curl")).to_be_visible()
    check(page)
    page.get_by_role("button", name="Delete", exact=True).click()
    check(page)
    page.goto(f"{service.url}/#00000000-0000-1000-8000-000000000000")
    expect(page.locator("#record .status")).to_contain_text("No prediction")
    check(page)
    page.keyboard.press("Escape")
    page.get_by_label("Label").select_option("Coat")
    page.get_by_label("Before").fill("2025-01-01T00:00")
    expect(page.locator("#state")).to_have_text("No answer matches the filter.")
    check(page)
