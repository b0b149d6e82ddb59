"""Takes the documentation's screenshots: the shipped model, real photographs, a real browser."""

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support import browser
from tests.support.places import CLOTHES, PHOTOS, ROOT
from tests.support.running import Service
from tests.support.weeks import fill_weeks, judge_in_order

CLASSIFIED = [PHOTOS / f"{name}.jpg" for name in ("dress", "hat", "shoes")]
SIZE = ViewportSize(width=1200, height=1040)
REVIEW_SIZE = ViewportSize(width=1200, height=780)
QUALITY_SIZE = ViewportSize(width=1200, height=1700)

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def show_predictions(page: Page, service: Service) -> None:
    """A few images, just classified."""
    for path in sorted(set(PHOTOS.glob("*.jpg")) - set(CLASSIFIED)):
        service.send(path.read_bytes())
    page.goto(service.url)
    page.set_viewport_size(SIZE)
    page.set_input_files("#files", CLASSIFIED)
    expect(page.locator("#tally")).to_have_text("3 images: 3 classified")
    for image in page.locator(".card img, .tile img").all():
        expect(image).not_to_have_js_property("naturalWidth", 0)
    page.keyboard.press("Home")


def show_review(page: Page, service: Service) -> None:
    page.goto(service.url)
    page.evaluate("localStorage.setItem('lookbook-annotator', 'Ana')")
    page.goto(f"{service.url}/#review")
    page.set_viewport_size(REVIEW_SIZE)
    for text in ("pul", "co"):
        expect(page.locator(".desk .frame img")).to_be_visible()
        page.keyboard.type(text)
        if text == "pul":
            page.keyboard.press("Enter")
    expect(page.get_by_role("option", name="Coat")).to_have_attribute("aria-selected", "true")


def show_quality(page: Page, service: Service) -> None:
    page.goto(f"{service.url}/#quality")
    page.set_viewport_size(QUALITY_SIZE)
    expect(page.get_by_role("region", name="Drift")).to_contain_text("Stable")
    expect(page.get_by_role("region", name="Calibration", exact=True)).to_be_visible()


def take(
    chromium: Browser, service: Service, name: str, scheme: Scheme, prepare: Callable[[Page, Service], None]
) -> None:
    page = chromium.new_context(color_scheme=scheme, viewport=SIZE, device_scale_factor=1.5).new_page()
    prepare(page, service)
    screenshot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # A palette takes a quarter of the bytes.
    screenshot.quantize(256, kmeans=5).save(ROOT / f"docs/images/{name}-{scheme}.png", optimize=True)
    page.context.close()


@contextmanager
def serving(path: Path) -> Iterator[Service]:
    service = Service({"workers": 1, "sqlite_path": path}, path.with_suffix(".log"))
    try:
        yield service.ready()
    finally:
        service.stop()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, browser.chromium() as chromium:
        for scheme in SCHEMES:
            with serving(Path(folder, f"{scheme}.sqlite")) as service:
                take(chromium, service, "page", scheme, show_predictions)
        weeks = Path(folder, "weeks.sqlite")
        truths = fill_weeks(weeks, days=28, per_day=100, model=CLOTHES)
        with serving(weeks) as service:
            judge_in_order(service.url, truths, 150)
            take(chromium, service, "quality", "light", show_quality)
            take(chromium, service, "review", "light", show_review)


if __name__ == "__main__":
    main()
