"""Takes the README's screenshots: the shipped model, real photographs, a real browser."""

import io
import tempfile
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, ViewportSize, expect

from tests.support import browser
from tests.support.running import Service

ROOT = Path(__file__).parent.parent
PHOTOS = ROOT / "tests/data/photos"
CLASSIFIED = [PHOTOS / f"{name}.jpg" for name in ("dress", "hat", "shoes")]
SIZE = ViewportSize(width=1200, height=1040)

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def take(chromium: Browser, service: Service, scheme: Scheme) -> None:
    """Classify a few images, and take a screenshot of the page."""
    for path in sorted(set(PHOTOS.glob("*.jpg")) - set(CLASSIFIED)):
        service.send(path.read_bytes())
    page = chromium.new_context(color_scheme=scheme, viewport=SIZE, device_scale_factor=1.5).new_page()
    page.goto(service.url)
    page.set_input_files("#files", CLASSIFIED)
    expect(page.locator("#tally")).to_have_text("3 images: 3 classified")
    for image in page.locator(".card img, .tile img").all():
        expect(image).not_to_have_js_property("naturalWidth", 0)
    page.keyboard.press("Home")
    screenshot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # A palette takes a quarter of the bytes.
    screenshot.quantize(256, kmeans=5).save(ROOT / f"docs/images/page-{scheme}.png", optimize=True)
    page.context.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, browser.chromium() as chromium:
        for scheme in SCHEMES:
            settings = {"workers": 1, "sqlite_path": Path(folder, f"{scheme}.sqlite")}
            service = Service(settings, Path(folder, f"{scheme}.log"))
            try:
                take(chromium, service.ready(), scheme)
            finally:
                service.stop()


if __name__ == "__main__":
    main()
